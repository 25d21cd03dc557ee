-- An edit or a delete of a message that may still wait. ARGV: event, conv, target event, dedupe ms, old, new ('' deletes)
-- `old` guards against a change since it was read; '' when the caller has not read it.
-- Gives {0 seen before | 1 changed | 2 too late | 3 unknown | 4 read again, current message or ''}
-- touches P:d P:m P:c P:l P:z P:r P:g P:led, publishes P:wake
local event, conv, target, old, new = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6]
if call('EXISTS', P .. ':d:' .. event) == 1 then return { 0, '' } end
local list = P .. ':m:' .. conv
local found, at
for k, message in ipairs(call('LRANGE', list, 0, -1)) do
  if string.sub(message, 1, #target + 1) == target .. '\n' then found, at = message, k - 1 end
end
local function seen() call('SET', P .. ':d:' .. event, '1', 'PX', ARGV[4]) end
if not found then
  seen()
  if call('EXISTS', P .. ':d:' .. target) == 1 then return { 2, '' } end
  return { 3, '' }
end
local lane = lane_of(conv)
local claimed = lane.s == 'l' and at < lane.n
if new ~= '' then
  if claimed then seen() return { 2, '' } end
  if old ~= found then return { 4, found } end
  call('LSET', list, at, new)
  seen()
  return { 1, '' }
end
call('LREM', list, 1, found)
count('waiting', -1)
count('cancelled', 1)
seen()
if claimed then
  release(conv, lane, call('LLEN', list), 0)
  interrupt(conv)
elseif call('LLEN', list) == 0 then
  call('ZREM', P .. ':z', conv)
  if lane.s == 'r' then unready(conv, lane.w) end
  call('DEL', P .. ':c:' .. conv)
end
return finish({ 1, '' })
