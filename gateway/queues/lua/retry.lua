-- Give a lane back for later. ARGV: conv, fence, after ms, 1 when this counts as a delivery
-- Gives 1 done, 0 the fence is old.
-- touches P:c P:m P:l P:z P:r P:g, publishes P:wake
local lane = lane_of(ARGV[1])
if not lane or lane.s ~= 'l' or lane.f ~= ARGV[2] then return 0 end
local deliveries = lane.a + (ARGV[4] == '1' and 1 or 0)
local after = tonumber(ARGV[3])
release(ARGV[1], lane, call('LLEN', P .. ':m:' .. ARGV[1]), deliveries, after > 0 and clock() + after, 'r')
return finish(1)
