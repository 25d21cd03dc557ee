-- Append to a conversation's log, once per key. ARGV: conv, key, body, entries kept, keep ms, 1 to write though the store is full
-- Gives the sequence number.
-- touches P:log:<conv> (stream, ids <seq>-0), P:logk:<conv> (hash: k<key> -> seq, # -> last seq), P:logs (zset: conv by last use)
local keys, stream = P .. ':logk:' .. ARGV[1], P .. ':log:' .. ARGV[1]
local known = call('HGET', keys, 'k' .. ARGV[2])
if known then return tonumber(known) end
if ARGV[6] == '1' then make_room() end
local t = clock()
local seq = call('HINCRBY', keys, '#', 1)
call('HSET', keys, 'k' .. ARGV[2], seq)
call('XADD', stream, seq .. '-0', 'k', ARGV[2], 'at', t, 'b', ARGV[3])
local extra = call('XLEN', stream) - tonumber(ARGV[4])
if extra > 0 then
  for _, entry in ipairs(call('XRANGE', stream, '-', '+', 'COUNT', extra)) do
    call('HDEL', keys, 'k' .. entry[2][2])
    call('XDEL', stream, entry[1])
  end
end
call('PEXPIRE', keys, ARGV[5])
call('PEXPIRE', stream, ARGV[5])
call('ZADD', P .. ':logs', t, ARGV[1])
call('ZREMRANGEBYSCORE', P .. ':logs', '-inf', t - tonumber(ARGV[5]))
call('PUBLISH', P .. ':log', seq .. '\n' .. t .. '\n' .. ARGV[2] .. '\n' .. ARGV[1] .. '\n' .. ARGV[3])
return seq
