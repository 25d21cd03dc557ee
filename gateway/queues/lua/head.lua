-- The oldest outbox part of conversations, where it may be sent now. Reads only. Each: account, conv
-- Gives {} or {part, its state, native id of the visible message or ''}
-- touches P:out P:ob P:sent
local t = clock()
return each(function(i)
  local due = call('ZSCORE', P .. ':out:' .. ARGV[i], ARGV[i + 1])
  if not due or tonumber(due) > t then return {} end
  local head = call('LINDEX', P .. ':ob:' .. ARGV[i + 1], '0')
  if not head then return {} end
  local reply, part = string.match(head, '^([^\n]*)\n([^\n]*)\n')
  local v = call('HMGET', P .. ':sent:' .. reply, part, 'v')
  return { head, v[1] or 'ready', v[2] or '' }
end)
