-- Append a batch of one contract's records to its streams, in order, as the only writer.
-- KEYS[1] lease:{contract}    string  the holder's token; held for as long again
-- KEYS[2] through:{contract}  hash    `redis:<kind>` and what else is told
-- KEYS[3..] tick: trade: book: feed:{contract}  streams
-- ARGV[1] the caller's token; ARGV[2] ms that the lease is held; ARGV[3] number n of through fields
-- ARGV[4 .. 3+2n] through fields and values
-- then for each stream of KEYS[3..]: its kind, its entries at most (trimmed about there)
-- then for each entry: number of its stream (1 is KEYS[3]), id, data
-- Returns {outcome, stored, repeated, text}: DONE; LEASE (nothing written); CONFLICT (the entry after the first
-- stored + repeated was refused and other bytes, or none, stand under its id); ERROR (the server refused it: text).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'LEASE', 0, 0, ''} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local at = 4
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  at = at + 2
end
local kinds, limits, last = {}, {}, {}
for i = 3, #KEYS do
  kinds[i - 2], limits[i - 2] = ARGV[at], ARGV[at + 1]
  at = at + 2
end
local outcome, text, stored, repeated = 'DONE', '', 0, 0
while at <= #ARGV do
  local stream, id, data = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local key = KEYS[stream + 2]
  local done = redis.pcall('XADD', key, 'MAXLEN', '~', limits[stream], id, 'd', data)
  if type(done) == 'table' and done.err then
    if not string.find(done.err, 'equal or smaller', 1, true) then
      outcome, text = 'ERROR', done.err
      break
    end
    -- Refused is not stored: only the same bytes under the same id are.
    local found = redis.call('XRANGE', key, id, id)[1]
    if not found or found[2][2] ~= data then
      outcome, text = 'CONFLICT', found and 'other bytes stand there' or 'nothing stands there'
      break
    end
    repeated = repeated + 1
  else
    stored = stored + 1
  end
  last[stream] = id
  at = at + 3
end
for stream, id in pairs(last) do redis.call('HSET', KEYS[2], 'redis:' .. kinds[stream], id) end
return {outcome, stored, repeated, text}
