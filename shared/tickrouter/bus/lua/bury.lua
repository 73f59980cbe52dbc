-- Put an entry that cannot be read aside: reason and bytes, cut, with a digest of the whole.
-- KEYS[3] orders:{account}  stream  acknowledged and deleted
-- KEYS[4] dead:{account}    stream
-- ARGV[3] entry id; ARGV[4] reason; ARGV[5] the first bytes; ARGV[6] digest; ARGV[7] length; ARGV[8] entries kept
-- Returns {outcome, rev}.
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[8], '*',
  'entry', ARGV[3], 'reason', ARGV[4], 'd', ARGV[5], 'sha256', ARGV[6], 'length', ARGV[7])
redis.call('XACK', KEYS[3], 'router', ARGV[3])
redis.call('XDEL', KEYS[3], ARGV[3])
return written('DONE')
