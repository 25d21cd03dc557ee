-- Head parts are settled. Each: account, owner's fence, conv, reply, part, sent|uncertain|quarantined, native id, reason
-- Gives 1 done and more parts wait, 2 done and none does, 0 we do not own the account any more, -1 it was settled before.
-- Quarantined: the reply's later parts go with it. Uncertain and quarantined parts are kept under P:dead.
-- touches P:own P:ob P:out P:sent P:dead P:led
return each(function(i)
  local account, conv, reply, part, state = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  if not owned(account, ARGV[i + 1]) then return 0 end
  local list, states = P .. ':ob:' .. conv, P .. ':sent:' .. reply
  local ours, head = is_head(conv, reply, part)
  if not ours then return -1 end
  call('LTRIM', list, '1', '-1')
  call('HSET', states, part, state == 'sent' and 'sent ' .. ARGV[i + 6] or state)
  local function keep(body)
    call('XADD', P .. ':dead', '*', 'kind', state == 'uncertain' and 'uncertain' or 'part', 'conv', conv,
      'account', account, 'reason', ARGV[i + 7], 'body', body)
    count(state == 'uncertain' and 'uncertain' or 'failed', 1)
  end
  if state == 'sent' then count('sent', 1) else keep(head) end
  while state == 'quarantined' do
    local more = call('LINDEX', list, '0')
    if not more or string.sub(more, 1, #reply + 1) ~= reply .. '\n' then break end
    call('LTRIM', list, '1', '-1')
    call('HSET', states, string.match(more, '^[^\n]*\n([^\n]*)\n'), state)
    keep(more)
  end
  if call('EXISTS', list) == 1 then
    call('ZADD', P .. ':out:' .. account, text(clock()), conv)
  else
    call('ZREM', P .. ':out:' .. account, conv)
    return 2
  end
  return 1
end)
