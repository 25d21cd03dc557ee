-- Count one event in a sliding window. ARGV: table, key, limit, window ms
-- Gives 0 when it fits, else the ms until the next one does. A refused event is not counted.
-- touches P:hit:<table>:<key> (list of times, newest last)
local key = P .. ':hit:' .. ARGV[1] .. ':' .. ARGV[2]
local t, limit, window = clock(), tonumber(ARGV[3]), tonumber(ARGV[4])
if limit <= 0 then return window end
if call('LLEN', key) >= limit then
  local first = tonumber(call('LINDEX', key, -limit))
  if first + window > t then return first + window - t end
end
call('RPUSH', key, t)
call('LTRIM', key, -limit, -1)
call('PEXPIRE', key, window)
return 0
