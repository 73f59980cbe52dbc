-- Take permits of every window of a request at once, or of none, on this server's own clock.
-- A permit is held until the answer is back and one interval has passed since (permit_return.lua): the venue counted
-- the request at some moment in between, so no window of the venue, whatever its phase, sees more than we grant.
-- KEYS[1] permit:{venue}:cooldown:<endpoint>  string  set while the venue wants quiet
-- KEYS[2..] permit:{venue}:<rule>:<scope>     zset    one member a permit, by the time it ends in microseconds
-- ARGV[1] a name that is new for each request; ARGV[2] microseconds for which a permit is held whose answer never
-- comes; then for each window: usable, interval in microseconds, weight
-- Returns 0 for go, else the microseconds after which to ask again.
local held = tonumber(ARGV[2])
local wait = redis.call('PTTL', KEYS[1]) * 1000
if wait < 0 then wait = 0 end
for i = 2, #KEYS do
  local usable, interval, weight = tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local over = redis.call('ZCARD', KEYS[i]) + weight - usable
  if over > 0 then
    local freed = redis.call('ZRANGE', KEYS[i], over - 1, over - 1, 'WITHSCORES')
    local until_free = interval
    if freed[2] then until_free = math.min(tonumber(freed[2]) - now + 1, interval) end
    if until_free > wait then wait = until_free end
  end
end
if wait > 0 then return wait end
for i = 2, #KEYS do
  local interval, weight = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  for n = 1, weight do redis.call('ZADD', KEYS[i], now + held + interval, ARGV[1] .. ':' .. n) end
  redis.call('PEXPIRE', KEYS[i], math.ceil((held + interval) / 1000) + 1000)
end
return 0
