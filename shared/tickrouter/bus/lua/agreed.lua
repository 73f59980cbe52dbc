-- Write totals on which venue and journal agree.
-- KEYS[3] agreed:{account}  hash
-- ARGV[3..] currency, msgpack map (total, epoch, fill_seq), and so on
-- Returns {outcome, rev}.
redis.call('HSET', KEYS[3], unpack(ARGV, 3))
return {'DONE', rev}
