-- The answer is back: the permits of one request end one interval from now.
-- KEYS[1..] permit:{venue}:<rule>:<scope>  zset
-- ARGV[1] the request's name; then for each window: interval in microseconds, weight
-- Returns 1.
for i = 1, #KEYS do
  for n = 1, tonumber(ARGV[2 * i + 1]) do
    redis.call('ZADD', KEYS[i], 'XX', now + tonumber(ARGV[2 * i]), ARGV[1] .. ':' .. n)
  end
end
return 1
