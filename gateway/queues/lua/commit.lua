-- Settle turns. Each: conv, fence, outcome, generation, history lines kept, history ms, last turn ms as claimed, parts n + 4 each, history n + each
-- Gives 1 done, 0 the fence is old, 2 interrupted by a newer message: nothing was written, the lane is ready again.
-- touches P:c P:m P:l P:z P:r P:g P:led P:ob P:out P:sent P:ses P:h, publishes P:wake P:out
local t = clock()
local at = text(t)
return each(function(i)
  local conv = ARGV[i]
  local lane = lane_of(conv)
  if not lane or lane.s ~= 'l' or lane.f ~= ARGV[i + 1] then return 0 end
  local waiting = call('LLEN', P .. ':m:' .. conv)
  if lane.x == '1' and waiting > lane.n then
    release(conv, lane, waiting, 0)
    return 2
  end
  local left = waiting - lane.n
  consume(conv, lane, left)
  release(conv, lane, left, 0, lane.b > 0 and t + lane.b, 'd')
  count(ARGV[i + 2], lane.n)
  local from = post(conv, i + 7)
  local ttl = tonumber(ARGV[i + 5])
  local fresh = math.floor(ARGV[i + 6] / ttl * 20) ~= math.floor(t / ttl * 20)  -- not at every turn
  local lines = tonumber(ARGV[from])
  if lines > 0 then
    local key, keep = P .. ':h:' .. conv .. ':' .. ARGV[i + 3], ARGV[i + 4]
    local length = call('RPUSH', key, unpack(ARGV, from + 1, from + lines))
    if length > tonumber(keep) then call('LTRIM', key, '-' .. keep, '-1') end
    if fresh or length == lines then call('PEXPIRE', key, ARGV[i + 5]) end
  end
  local session = P .. ':ses:' .. conv
  call('HSET', session, 'at', at)
  if fresh then call('PEXPIRE', session, ARGV[i + 5]) end
  return 1
end)
