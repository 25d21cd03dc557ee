-- Try a dead letter again. ARGV: stream id, its JSON as it goes back
-- Gives 1 done, 0 no such entry. A message goes to the end of its lane, a part to the end of its outbox.
-- touches P:dead P:m P:c P:r P:g P:led P:ob P:out P:sent, publishes P:wake P:out
local entry = call('XRANGE', P .. ':dead', ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local f = {}
for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
local head = string.match(f.body, f.kind == 'message' and '^[^\n]*\n' or '^[^\n]*\n[^\n]*\n')
f.body = head .. ARGV[2]
if f.kind == 'message' then
  call('RPUSH', P .. ':m:' .. f.conv, f.body)
  count('quarantined', -1)
  count('waiting', 1)
  if not lane_of(f.conv) then
    local where = f.priority .. ':' .. f.tenant
    call('HSET', P .. ':c:' .. f.conv, 's', 'r', 'w', where, 'q', 'each')
    make_ready(f.conv, where)
  end
else
  local reply, part = string.match(f.body, '^([^\n]*)\n([^\n]*)\n')
  call('HSET', P .. ':sent:' .. reply, part, 'ready')
  call('PEXPIRE', P .. ':sent:' .. reply, SENT_MS)
  if call('RPUSH', P .. ':ob:' .. f.conv, f.body) == 1 then
    call('ZADD', P .. ':out:' .. f.account, clock(), f.conv)
  end
  count(f.kind == 'uncertain' and 'uncertain' or 'failed', -1)
  call('PUBLISH', P .. ':out', f.account .. '\n' .. f.conv)
end
call('XDEL', P .. ':dead', ARGV[1])
return finish(1)
