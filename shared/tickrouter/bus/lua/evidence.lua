-- Keep what was found out about an order in doubt. It is no step of the order: nothing is published.
-- KEYS[3] order:{account}:<id>  hash  field `evidence`
-- ARGV[3] msgpack map
-- Returns {outcome, rev}: DONE, or REPEAT where the journal has no such order.
if redis.call('EXISTS', KEYS[3]) == 0 then return {'REPEAT', rev} end
redis.call('HSET', KEYS[3], 'evidence', ARGV[3])
return {'DONE', rev}
