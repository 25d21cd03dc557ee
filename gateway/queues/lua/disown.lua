-- Let an account go. ARGV: account, owner
-- touches P:hold
local hold = P .. ':hold:' .. ARGV[1]
if call('HGET', hold, 'owner') == ARGV[2] then return call('DEL', hold) end
return 0
