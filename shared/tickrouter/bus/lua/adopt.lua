-- Write an order that the journal does not know: one that the venue shows, or that MongoDB's copy or memory remembers.
-- KEYS[3] order:{account}:<id>  hash
-- KEYS[4] open:{account}        set
-- KEYS[5] events:{account}      stream
-- KEYS[6] fills:{account}       stream
-- KEYS[7] xoid:{account}        hash
-- ARGV[3] msgpack: client_oid, fields, is_open, exchange_oid or nil, events
-- Returns {outcome, rev}: DONE, or REPEAT where the journal has such an order.
local a = cmsgpack.unpack(ARGV[3])
if redis.call('EXISTS', KEYS[3]) == 1 then return {'REPEAT', rev} end
redis.call('HSET', KEYS[3], unpack(a.fields))
if a.is_open then redis.call('SADD', KEYS[4], a.client_oid) end
if a.exchange_oid then redis.call('HSET', KEYS[7], a.exchange_oid, a.client_oid) end
for _, event in ipairs(a.events) do
  event.events, event.fills = KEYS[5], KEYS[6]
  publish(event)
end
return written('DONE')
