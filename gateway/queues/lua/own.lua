-- Own an account. Runs on the first partition. ARGV: account, owner, ttl ms, who (for people)
-- Gives {fence, ''} or {0, who holds it}
-- touches P:own P:hold
local hold = P .. ':hold:' .. ARGV[1]
local held = call('HMGET', hold, 'owner', 'who', 'fence')
if held[1] and held[1] ~= ARGV[2] then return { 0, held[2] } end
call('PEXPIRE', hold, ARGV[3])
local fence = held[3]
if not fence then
  fence = call('INCR', P .. ':own:' .. ARGV[1])
  call('HSET', hold, 'owner', ARGV[2], 'who', ARGV[4], 'fence', fence)
  call('PEXPIRE', hold, ARGV[3])
end
return { tonumber(fence), '' }
