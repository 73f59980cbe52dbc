-- Look whether this server still knows the permits that were granted, before anything is taken of it: one that was
-- wiped, restored or replaced does not, and then every window counts as spent for one interval from now.
-- Each process looks for itself: only it knows what it was granted. So the memory has a name, `life`, that is new
-- whenever the memory or the server is; permit.lua grants nothing to whoever does not know it.
-- KEYS[1] permit:{venue}:memory:server     hash  run (the server's run id), life, since (microseconds, when the server
--                                                was last found to have forgotten; 0 for never)
-- KEYS[2..] permit:{venue}:<rule>:<scope>  zset  of the caller's last permits, where they must still count
-- ARGV[1] the server's run id as the caller read it; ARGV[2] 1 if that server loses nothing that it acknowledged
-- ARGV[3] 1 if nobody can have sent anything yet: the first start of all
-- ARGV[4..] the member of each of these windows that the caller was granted
-- Returns the memory's `life`.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('HGET', KEYS[1], 'run')
local whole = known == run
if not known then
  whole = ARGV[3] == '1'
elseif not whole then
  whole = run == ARGV[1] and ARGV[2] == '1'
end
for i = 2, #KEYS do
  if not redis.call('ZSCORE', KEYS[i], ARGV[i + 2]) then whole = false end
end
if known ~= run then
  redis.call('HSET', KEYS[1], 'run', run, 'life', run .. ':' .. string.format('%d', now))
  redis.call('HSETNX', KEYS[1], 'since', 0)
end
if not whole then redis.call('HSET', KEYS[1], 'since', string.format('%d', now)) end
return redis.call('HGET', KEYS[1], 'life')
