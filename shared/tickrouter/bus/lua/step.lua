-- One journaled step of one order: state, events and fills together. Idempotent under resend by the step's number.
-- KEYS[3] order:{account}:<id>  hash    the journal
-- KEYS[4] open:{account}        set
-- KEYS[5] events:{account}      stream
-- KEYS[6] fills:{account}       stream
-- KEYS[7] xoid:{account}        hash    exchange id to client id
-- KEYS[8] watch:{account}       zset    NeverPlaced ids by deadline
-- KEYS[9] halt:{account}        string
-- ARGV[3] msgpack: step, client_oid, fields, unset, events, open (true, false or nil), exchange_oid, watch (deadline, or
--         false to end it), guard (deadline in ms: the last look before a request leaves),
--         child {client_oid, fields, event}
-- Returns {outcome, rev}: DONE, REPEAT (already written), CONFLICT, or of the guard HALT, AGE, CANCEL.
local a = cmsgpack.unpack(ARGV[3])
local at = tonumber(redis.call('HGET', KEYS[3], 'step') or -1)
if at == a.step then return {'REPEAT', rev} end
if at ~= a.step - 1 then return {'CONFLICT', rev} end
if a.guard then
  if redis.call('GET', KEYS[9]) ~= 'run' then return {'HALT', rev} end
  if redis.call('HEXISTS', KEYS[3], 'cancel_requested') == 1 then return {'CANCEL', rev} end
  local now = redis.call('TIME')
  if now[1] * 1000 + math.floor(now[2] / 1000) > a.guard then return {'AGE', rev} end
end
redis.call('HSET', KEYS[3], unpack(a.fields))
if a.unset then redis.call('HDEL', KEYS[3], unpack(a.unset)) end
if a.open == true then
  redis.call('SADD', KEYS[4], a.client_oid)
  redis.call('PERSIST', KEYS[3])
end
if a.open == false then redis.call('SREM', KEYS[4], a.client_oid) end
if a.exchange_oid then redis.call('HSET', KEYS[7], a.exchange_oid, a.client_oid) end
if a.watch then redis.call('ZADD', KEYS[8], a.watch, a.client_oid) end
if a.watch == false then redis.call('ZREM', KEYS[8], a.client_oid) end
local function say(event)
  event.events, event.fills = KEYS[5], KEYS[6]
  publish(event)
end
for _, event in ipairs(a.events) do say(event) end
-- A child that was adopted before its parent's end was known is there, and has been told of.
if a.child and redis.call('EXISTS', KEYS[10]) == 0 then
  redis.call('HSET', KEYS[10], unpack(a.child.fields))
  redis.call('SADD', KEYS[4], a.child.client_oid)
  say(a.child.event)
end
return written('DONE')
