-- Make lanes ready now that wait after a failed turn, as an engine came back. ARGV: conversations
-- Gives how many. A lane that waits for quiet goes on waiting.
-- touches P:z P:c P:r P:g, publishes P:wake
local done = 0
for i = 1, #ARGV do
  local key = P .. ':c:' .. ARGV[i]
  if call('HGET', key, 'y') == 'r' and call('ZREM', P .. ':z', ARGV[i]) == 1 then
    local lane = lane_of(ARGV[i])
    call('HDEL', key, 'y', 'e')
    call('HSET', key, 's', 'r')
    make_ready(ARGV[i], lane.w)
    done = done + 1
  end
end
return finish(done)
