-- About to send head parts. Each: account, owner's fence, conv, reply, part
-- Gives the attempt number; 0 we do not own the account any more; -1 it was settled before.
-- touches P:own P:ob P:sent
make_room()
return each(function(i)
  if not owned(ARGV[i], ARGV[i + 1]) then return 0 end
  local reply, part = ARGV[i + 3], ARGV[i + 4]
  local key = P .. ':sent:' .. reply
  local state = call('HGET', key, part)
  local settled = state and not string.find(state, '^ready') and not string.find(state, '^sending')
  if settled or not state and not is_head(ARGV[i + 2], reply, part) then return -1 end
  local attempt = tonumber(string.match(state or '', '^%a+ (%d+)') or '0') + 1
  call('HSET', key, part, 'sending ' .. attempt .. ' ' .. ARGV[i + 1])
  if not state then call('PEXPIRE', key, SENT_MS) end
  return attempt
end)
