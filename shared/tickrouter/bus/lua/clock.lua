-- Prologue of the permit scripts: this server's own clock, in microseconds, for every process the same.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
