-- Open a new epoch: Redis holds less than it acknowledged, or this account's first. Numbers begin again at 1.
-- KEYS[1] meta:{account}   hash
-- KEYS[2] lease:{account}  string
-- KEYS[3] events:{account} stream
-- KEYS[4] fills:{account}  stream
-- KEYS[5] halt:{account}   string
-- ARGV[1] the caller's token; ARGV[2] epoch; ARGV[3] run id of the server; ARGV[4] msgpack: event
-- ARGV[5] what halt is set to where it is missing; ARGV[6] when it opens, ms, 0 for the first epoch
-- ARGV[7] ms before which an entry of the queue may have been admitted and sent by a Redis that forgot it, 0 for none
-- ARGV[8] 1 if ARGV[5] is a halt that this Redis has forgotten: it counts over run
-- Returns {outcome, rev}: DONE, REPEAT where this epoch is open already, or LEASE.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'LEASE'} end
local rev = tonumber(redis.call('HGET', KEYS[1], 'rev') or 0)
if tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) >= tonumber(ARGV[2]) then return {'REPEAT', rev} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run_id', ARGV[3], 'seq', 1, 'fill_seq', 0, 'opened', ARGV[6], 'known_from', ARGV[7])
if ARGV[8] == '1' and redis.call('GET', KEYS[5]) == 'run' then redis.call('DEL', KEYS[5]) end
redis.call('SET', KEYS[5], ARGV[5], 'NX')
local event = cmsgpack.unpack(ARGV[4])
local body = event[1] .. cmsgpack.pack(tonumber(ARGV[2])) .. event[2] .. cmsgpack.pack(1) .. event[3]
redis.call('XADD', KEYS[3], ARGV[2] .. '-1', 'd', body)
return {'DONE', redis.call('HINCRBY', KEYS[1], 'rev', 1)}
