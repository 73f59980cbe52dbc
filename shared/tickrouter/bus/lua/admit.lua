-- Admit one command: from here on the work lists hold it, and the queue does not.
-- KEYS[3] orders:{account}         stream  the queue; the entry is acknowledged and deleted
-- KEYS[4] seen:{account}           zset    command ids admitted, by time
-- KEYS[5] events:{account}         stream
-- KEYS[6] fills:{account}          stream
-- KEYS[7] open:{account}           set
-- KEYS[8] work:{account}           hash
-- KEYS[9] halt:{account}           string
-- KEYS[10..] order:{account}:<id>  hash    the new order, or the orders that a cancel marks; behind those of an amend
--                                          the order that is to be new (`wanted` = 1)
-- ARGV[3] entry id; ARGV[4] command id; ARGV[5] its time in ms; ARGV[6] time in ms before which ids are dropped now and then
-- ARGV[7] msgpack: kind ('place', 'work' or 'refused'), client_oid, fields, is_open, sends (it may leave:
--         not while halted), event, work, wanted; deadline in ms of a place whose request leaves at once
-- Returns {outcome, rev}: ADMITTED, REPEAT; or with nothing written DUPLICATE (the client id is taken), HALTED, AGE.
local a = cmsgpack.unpack(ARGV[7])
local function done(outcome)
  redis.call('ZADD', KEYS[4], ARGV[5], ARGV[4])
  if rev % 100 == 0 then redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[6]) end
  redis.call('XACK', KEYS[3], 'router', ARGV[3])
  redis.call('XDEL', KEYS[3], ARGV[3])
  return written(outcome)
end
local function say(event)
  event.events, event.fills = KEYS[5], KEYS[6]
  publish(event)
end
if redis.call('ZSCORE', KEYS[4], ARGV[4]) then return done('REPEAT') end
if a.kind == 'refused' then
  say(a.event)
  return done('ADMITTED')
end
if a.kind == 'work' then
  local marked = #KEYS - (a.wanted or 0)
  if a.wanted and redis.call('EXISTS', KEYS[#KEYS]) == 1 then return {'DUPLICATE', rev} end
  redis.call('HSET', KEYS[8], ARGV[4], a.work)
  for i = 10, marked do redis.call('HSETNX', KEYS[i], 'cancel_requested', ARGV[4]) end
  return done('ADMITTED')
end
if redis.call('EXISTS', KEYS[10]) == 1 then return {'DUPLICATE', rev} end
if a.sends and redis.call('GET', KEYS[9]) ~= 'run' then return {'HALTED', rev} end
if a.deadline then
  local now = redis.call('TIME')
  if now[1] * 1000 + math.floor(now[2] / 1000) > a.deadline then return {'AGE', rev} end
end
redis.call('HSET', KEYS[10], unpack(a.fields))
if a.is_open then redis.call('SADD', KEYS[7], a.client_oid) end
say(a.event)
return done('ADMITTED')
