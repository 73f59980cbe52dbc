-- Note in the account's meta how far recovery has come in its epoch.
-- ARGV[3] the field; ARGV[4] the epoch for which it is so
-- Returns {outcome, rev}.
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return written('DONE')
