-- Note the message under which a reply is visible. ARGV: account, owner's fence, reply, native id ('?' before the first send)
-- Gives 1 done, 0 we do not own the account any more.
-- touches P:own P:sent
if not owned(ARGV[1], ARGV[2]) then return 0 end
local key = P .. ':sent:' .. ARGV[3]
call('PEXPIRE', key, SENT_MS)
call('HSET', key, 'v', ARGV[4])
call('PEXPIRE', key, SENT_MS)
return 1
