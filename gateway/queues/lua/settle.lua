-- Settle a message past its turn, whether it waits or is being answered. ARGV: event, conv, outcome, element instead of it ('' takes it out), parts n + 4 each
-- Gives 1 done, 0 it is not in the lane any more: somebody else has settled it.
-- touches P:m P:c P:l P:z P:r P:g P:led P:ob P:out P:sent, publishes P:wake P:out
local event, conv, instead = ARGV[1], ARGV[2], ARGV[4]
local list = P .. ':m:' .. conv
local found, at
for k, message in ipairs(call('LRANGE', list, 0, -1)) do
  if string.sub(message, 1, #event + 1) == event .. '\n' then found, at = message, k - 1 end
end
if not found then return 0 end
local lane = lane_of(conv)
if instead == '' then
  call('LREM', list, 1, found)
  count('waiting', -1)
  count(ARGV[3], 1)
else
  call('LSET', list, at, instead)
end
local left = call('LLEN', list)
if lane.s == 'l' and at < lane.n then
  release(conv, lane, left, 0)
  interrupt(conv)
elseif left == 0 then
  call('ZREM', P .. ':z', conv)
  if lane.s == 'r' then unready(conv, lane.w) end
  call('DEL', P .. ':c:' .. conv)
elseif at == 0 and lane.s == 'z' and call('HGET', P .. ':c:' .. conv, 'y') == 'r' then
  -- It was put off because of this message: the others need not wait for it.
  call('ZREM', P .. ':z', conv)
  call('HDEL', P .. ':c:' .. conv, 'y', 'e', 'a')
  call('HSET', P .. ':c:' .. conv, 's', 'r')
  make_ready(conv, lane.w)
end
post(conv, 5)
return finish(1)
