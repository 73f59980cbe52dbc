-- Publish events that belong to no order's step, and end the command that they answer.
-- KEYS[3] events:{account}  stream
-- KEYS[4] fills:{account}   stream
-- KEYS[5] work:{account}    hash
-- ARGV[3] msgpack: events, command (its work ends with this), or nil
-- Returns {outcome, rev}: DONE, or REPEAT where the command's work has ended before.
local a = cmsgpack.unpack(ARGV[3])
if a.command and redis.call('HDEL', KEYS[5], a.command) == 0 then return {'REPEAT', rev} end
for _, event in ipairs(a.events) do
  event.events, event.fills = KEYS[3], KEYS[4]
  publish(event)
end
return written('DONE')
