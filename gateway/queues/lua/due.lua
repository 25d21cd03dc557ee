-- Outbox heads that may be sent. Reads only. ARGV: account, most, look ahead ms
-- Gives {now, next due or 0, heads...}; a head: conv, part, its state, native id of the visible message or ''
-- touches P:out P:ob P:sent
local t = clock()
local key = P .. ':out:' .. ARGV[1]
local out = { t, 0 }
for _, conv in ipairs(call('ZRANGEBYSCORE', key, '-inf', t, 'LIMIT', 0, ARGV[2])) do
  local head = call('LINDEX', P .. ':ob:' .. conv, 0)
  if head then
    local reply, part = string.match(head, '^([^\n]*)\n([^\n]*)\n')
    local v = call('HMGET', P .. ':sent:' .. reply, part, 'v')
    out[#out + 1] = { conv, head, v[1] or 'ready', v[2] or '' }
  end
end
local due = call('ZRANGEBYSCORE', key, '(' .. t, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if due[2] then out[2] = tonumber(due[2]) end
return out
