-- Quarantine the claimed messages. ARGV: conv, fence, reason, account, parts n + 4 each
-- Gives 1 done, 0 the fence is old.
-- touches P:c P:m P:l P:r P:g P:dead P:led P:ob P:out P:sent, publishes P:wake P:out
local conv = ARGV[1]
local lane = lane_of(conv)
if not lane or lane.s ~= 'l' or lane.f ~= ARGV[2] then return 0 end
local list = P .. ':m:' .. conv
local messages = call('LRANGE', list, 0, lane.n - 1)
local left = call('LLEN', list) - lane.n
consume(conv, lane, left)
release(conv, lane, left, 0)
local prio, tenant = split_where(lane.w)
for _, message in ipairs(messages) do
  call('XADD', P .. ':dead', '*', 'kind', 'message', 'conv', conv, 'account', ARGV[4], 'reason', ARGV[3],
    'tenant', tenant, 'priority', prio, 'body', message)
end
count('quarantined', lane.n)
post(conv, 5)
return finish(1)
