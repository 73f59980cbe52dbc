-- Take permits of every window of a request at once, or of none, on this server's own clock.
-- KEYS[1] permit:{venue}:cooldown:<endpoint>  string  set while the venue wants quiet
-- KEYS[2..] permit:{venue}:<rule>:<scope>     zset    one member a permit, by time in microseconds
-- ARGV[1] a name that is new for each request; then for each window: usable, interval in microseconds, weight
-- Returns 0 for go, else the microseconds after which to ask again.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = redis.call('PTTL', KEYS[1]) * 1000
if wait < 0 then wait = 0 end
for i = 2, #KEYS do
  local usable, interval, weight = tonumber(ARGV[3 * i - 4]), tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - interval)
  local over = redis.call('ZCARD', KEYS[i]) + weight - usable
  if over > 0 then
    local freed = redis.call('ZRANGE', KEYS[i], over - 1, over - 1, 'WITHSCORES')
    local until_free = freed[2] and tonumber(freed[2]) + interval - now + 1 or interval
    if until_free > wait then wait = until_free end
  end
end
if wait > 0 then return wait end
for i = 2, #KEYS do
  local interval, weight = tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2])
  for n = 1, weight do redis.call('ZADD', KEYS[i], now, ARGV[1] .. ':' .. n) end
  redis.call('PEXPIRE', KEYS[i], math.ceil(interval / 1000) + 1000)
end
return 0
