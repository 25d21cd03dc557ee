-- Cancel the running turn and all that waits. ARGV: conv, event that stays ('' for none), ms it is put off
-- The event is a message that turned out to mean this very stop: it is settled next, or comes again.
-- What came after it was sent by somebody who had stopped already, and stays behind it.
-- Gives how many messages were cancelled.
-- touches P:m P:c P:l P:z P:r P:g P:led, publishes P:wake
local conv, event = ARGV[1], ARGV[2]
local list, key = P .. ':m:' .. conv, P .. ':c:' .. conv
local n = call('LLEN', list)
local lane = lane_of(conv)
if lane then
  local kept = {}
  if event ~= '' then
    for _, message in ipairs(call('LRANGE', list, 0, -1)) do
      if #kept > 0 or string.sub(message, 1, #event + 1) == event .. '\n' then kept[#kept + 1] = message end
    end
  end
  local how = call('HGET', key, 'q')
  if lane.s == 'r' then unready(conv, lane.w) end
  call('ZREM', P .. ':l', conv)
  call('ZREM', P .. ':z', conv)
  call('DEL', key, list)
  if lane.s == 'l' then interrupt(conv) end
  if #kept > 0 then
    local due = clock() + tonumber(ARGV[3])
    for _, message in ipairs(kept) do call('RPUSH', list, message) end
    call('HSET', key, 's', 'z', 'y', 'r', 'e', text(due), 'w', lane.w, 'q', how)
    call('ZADD', P .. ':z', text(due), conv)
    n = n - #kept
  end
end
count('waiting', -n)
count('cancelled', n)
return finish(n)
