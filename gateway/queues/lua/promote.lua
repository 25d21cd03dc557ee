-- Make delayed lanes ready now, e.g. when an engine came back. ARGV: conversations
-- Gives how many.
-- touches P:z P:c P:r P:g, publishes P:wake
local done = 0
for i = 1, #ARGV do
  if call('ZREM', P .. ':z', ARGV[i]) == 1 then
    local lane, key = lane_of(ARGV[i]), P .. ':c:' .. ARGV[i]
    if lane then
      call('HDEL', key, 'y', 'e')
      call('HSET', key, 's', 'r')
      make_ready(ARGV[i], lane.p, lane.t)
      done = done + 1
    end
  end
end
return finish(done)
