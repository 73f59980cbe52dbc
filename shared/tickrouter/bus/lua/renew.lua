-- Keep a lease for as long again, if it is still the caller's.
-- KEYS[1] lease:{…}  string
-- ARGV[1] the holder's token; ARGV[2] milliseconds, or 0 to give it up
-- Returns 1 if it was the caller's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
