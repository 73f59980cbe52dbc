-- Prologue of every script of an account: only the lease holder writes, and only into a Redis that forgot nothing.
-- KEYS[1] meta:{account}   hash    epoch, rev, seq, fill_seq, run_id
-- KEYS[2] lease:{account}  string  the holder's token
-- ARGV[1] the caller's token
-- ARGV[2] the highest rev that the caller saw acknowledged
-- Returns early {'LEASE'} or {'FORGOT'}.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'LEASE'} end
local meta = redis.call('HMGET', KEYS[1], 'rev', 'epoch', 'seq', 'fill_seq')
local rev, epoch, seq, fill_seq = tonumber(meta[1] or -1), meta[2], tonumber(meta[3] or 0), tonumber(meta[4] or 0)
if rev < tonumber(ARGV[2]) then return {'FORGOT'} end

-- Publishing. An event comes as the bytes before and behind its numbers, which are given here: seq without a hole.
local function publish(event)
  seq = seq + 1
  local body = event[1] .. cmsgpack.pack(tonumber(epoch)) .. event[2] .. cmsgpack.pack(seq) .. event[3]
  if event[4] then
    fill_seq = fill_seq + 1
    body = body .. cmsgpack.pack(fill_seq) .. event[4]
    redis.call('XADD', event.fills, epoch .. '-' .. fill_seq, 'd', body)
  end
  redis.call('XADD', event.events, epoch .. '-' .. seq, 'd', body)
end

-- The end of every write: its number, and how far the others came.
local function written(outcome)
  redis.call('HSET', KEYS[1], 'rev', rev + 1, 'seq', seq, 'fill_seq', fill_seq)
  return {outcome, rev + 1}
end
