-- Replace the snapshot of the balances: only the lease holder's reading counts.
-- KEYS[3] balance:{account}  hash
-- ARGV[3..] currency, msgpack map, and so on
-- Returns {outcome, rev}.
redis.call('HSET', KEYS[3], unpack(ARGV, 3))
return {'DONE', rev}
