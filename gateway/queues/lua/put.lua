-- Take messages in. Each: dedupe ms, event, conv, tenant, priority, mode, debounce ms, depth, element of the lane
-- Gives 1 stored, 0 seen before, -1 the lane is full.
-- touches P:d P:m P:c P:r P:g P:z P:led P:ses, publishes P:wake
local t = clock()
return each(function(i)
  local event, conv, tenant, prio = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local mode, debounce = ARGV[i + 5], tonumber(ARGV[i + 6])
  local lane_key, list, seen = P .. ':c:' .. conv, P .. ':m:' .. conv, P .. ':d:' .. event
  if call('LLEN', list) >= tonumber(ARGV[i + 7]) then
    return call('EXISTS', seen) == 1 and 0 or -1
  end
  if not call('SET', seen, '1', 'NX', 'PX', ARGV[i]) then return 0 end
  call('RPUSH', list, ARGV[i + 8])
  count('accepted', 1)
  count('waiting', 1)
  local lane = call('HMGET', lane_key, 's', 'y', 'e')
  local state = lane[1]
  if not state then
    if debounce > 0 then
      call('HSET', lane_key, 's', 'z', 'y', 'd', 'e', t, 'p', prio, 't', tenant, 'q', mode, 'b', debounce)
      call('ZADD', P .. ':z', t + debounce, conv)
    else
      call('HSET', lane_key, 's', 'r', 'p', prio, 't', tenant, 'q', mode, 'b', debounce)
      make_ready(conv, prio, tenant)
    end
    return 1
  end
  call('HSET', lane_key, 'q', mode, 'b', debounce)
  if state == 'z' and lane[2] == 'd' then
    call('ZADD', P .. ':z', math.min(t + debounce, tonumber(lane[3]) + 10 * debounce), conv)
  elseif state == 'l' and (call('HGET', P .. ':ses:' .. conv, 'o:queue') or mode) == 'interrupt' then
    call('HSET', lane_key, 'x', '1')
    interrupt(conv)
  end
  return 1
end)
