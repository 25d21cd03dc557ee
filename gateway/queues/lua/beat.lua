-- Renew leases. ARGV: lease ms, then conv, fence each
-- Gives the conversations whose lease is not ours any more.
-- touches P:c P:l
local due, leased = text(clock() + tonumber(ARGV[1])), P .. ':l'
make_room()
local lost = {}
for i = 2, #ARGV, 2 do
  if call('HGET', P .. ':c:' .. ARGV[i], 's') == ARGV[i + 1] then
    call('ZADD', leased, due, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
