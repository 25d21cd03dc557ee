-- Cancel the running turn and all that waits. ARGV: conv
-- Gives how many messages that were.
-- touches P:m P:c P:l P:z P:r P:g P:led, publishes P:wake
local conv = ARGV[1]
local n = call('LLEN', P .. ':m:' .. conv)
local lane = lane_of(conv)
if lane then
  if lane.s == 'r' then unready(conv, lane.w) end
  call('ZREM', P .. ':l', conv)
  call('ZREM', P .. ':z', conv)
  call('DEL', P .. ':c:' .. conv, P .. ':m:' .. conv)
  if lane.s == 'l' then interrupt(conv) end
end
count('waiting', -n)
count('cancelled', n)
return finish(n)
