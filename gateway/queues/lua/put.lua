-- Take messages in. Each: dedupe ms, event, conv, <prio>:<tenant>, mode with the debounce ms if any, depth, element of the lane
-- The mode `quiet` is a message's own: it may not be meant for us, so it interrupts nothing and leaves the lane's mode.
-- Gives 1 stored, 0 seen before, -1 the lane is full.
-- touches P:d P:m P:c P:r P:g P:z P:led P:ses, publishes P:wake
local t = clock()
return each(function(i)
  local event, conv, where, how = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local lane, list, seen = P .. ':c:' .. conv, P .. ':m:' .. conv, P .. ':d:' .. event
  local state = call('HGET', lane, 's')
  if (state and call('LLEN', list) or 0) >= tonumber(ARGV[i + 5]) then
    return call('EXISTS', seen) == 1 and 0 or -1
  end
  if not call('SET', seen, '1', 'NX', 'PX', ARGV[i]) then return 0 end
  call('RPUSH', list, ARGV[i + 6])
  count('accepted', 1)
  count('waiting', 1)
  local mode, debounce = string.match(how, '^(%a+) ?(%d*)$')
  if not state then
    if debounce ~= '' then
      call('HSET', lane, 's', 'z', 'y', 'd', 'e', text(t), 'w', where, 'q', how)
      call('ZADD', P .. ':z', text(t + tonumber(debounce)), conv)
    else
      call('HSET', lane, 's', 'r', 'w', where, 'q', how)
      make_ready(conv, where)
    end
    return 1
  end
  if mode ~= 'quiet' then call('HSET', lane, 'q', how) end
  if state == 'z' then
    local why = call('HMGET', lane, 'y', 'e')
    if why[1] == 'd' then
      local quiet = tonumber(debounce) or 0
      call('ZADD', P .. ':z', text(math.min(t + quiet, tonumber(why[2]) + 10 * quiet)), conv)
    end
  elseif state ~= 'r' and mode ~= 'quiet' and (call('HGET', P .. ':ses:' .. conv, 'o:queue') or mode) == 'interrupt' then
    call('HSET', lane, 'x', '1')
    interrupt(conv)
  end
  return 1
end)
