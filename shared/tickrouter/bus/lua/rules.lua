-- Set risk rules again that this Redis forgot.
-- KEYS[3] risk:{account}  hash
-- ARGV[3] msgpack: set (rule, text, and so on), unset (rules), is_wiped (what stands there was said since: it counts)
-- Returns {outcome, rev}.
local a = cmsgpack.unpack(ARGV[3])
for i = 1, #a.set, 2 do redis.call(a.is_wiped and 'HSETNX' or 'HSET', KEYS[3], a.set[i], a.set[i + 1]) end
if not a.is_wiped then
  for _, rule in ipairs(a.unset) do redis.call('HDEL', KEYS[3], rule) end
end
return written('DONE')
