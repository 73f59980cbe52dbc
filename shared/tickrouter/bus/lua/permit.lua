-- Take permits of every window of a request at once, or of none, on this server's own clock.
-- A permit is held until the answer is back and one interval has passed since (permit_return.lua): the venue counted
-- the request at some moment in between, so no window of the venue, whatever its phase, sees more than we grant.
-- Permits that this server forgot may have been used: every window counts as spent for one interval after that.
-- KEYS[1] permit:{venue}:memory:server        hash    life: its name; since: when the server was last found to have
--                                                     forgotten, or 0
-- KEYS[2] permit:{venue}:cooldown:<endpoint>  string  set while the venue wants quiet
-- KEYS[3..] permit:{venue}:<rule>:<scope>     zset    one member a permit, by the time it ends in microseconds; those
--                                                     that have ended go when the window seems full
-- ARGV[1] a name that is new for each request; ARGV[2] microseconds for which a permit is held whose answer never
-- comes; ARGV[3] the memory's name as the caller knows it; then for each window: usable, interval in microseconds, weight
-- Returns 0 for go, the microseconds after which to ask again, or -1 if it has to be opened first (permit_open.lua).
local held = tonumber(ARGV[2])
local memory = redis.call('HMGET', KEYS[1], 'life', 'since')
if memory[1] ~= ARGV[3] then return -1 end
local since = tonumber(memory[2])
local wait = redis.call('PTTL', KEYS[2]) * 1000
if wait < 0 then wait = 0 end
for i = 3, #KEYS do
  local usable, interval, weight = tonumber(ARGV[3 * i - 5]), tonumber(ARGV[3 * i - 4]), tonumber(ARGV[3 * i - 3])
  if since + interval > now + wait then wait = since + interval - now end
  local over = redis.call('ZCARD', KEYS[i]) + weight - usable
  if over > 0 then over = over - redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now) end
  if over > 0 then
    local freed = redis.call('ZRANGE', KEYS[i], over - 1, over - 1, 'WITHSCORES')
    local until_free = interval
    if freed[2] then until_free = math.min(tonumber(freed[2]) - now + 1, interval) end
    if until_free > wait then wait = until_free end
  end
end
if wait > 0 then
  -- Its own permits are among them: the answer to this very call was lost, and it was sent again.
  if KEYS[3] and redis.call('ZSCORE', KEYS[3], ARGV[1] .. ':1') then return 0 end
  return wait
end
for i = 3, #KEYS do
  local interval, weight = tonumber(ARGV[3 * i - 4]), tonumber(ARGV[3 * i - 3])
  for n = 1, weight do redis.call('ZADD', KEYS[i], now + held + interval, ARGV[1] .. ':' .. n) end
end
return 0
