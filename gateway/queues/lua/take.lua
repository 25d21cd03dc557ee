-- Claim lanes. ARGV: lease ms, lanes wanted, most messages of a turn, lines of history
-- Gives {now, next due or 0, lanes...}; a lane: conv, fence, deliveries, {messages}, generation, last turn ms,
-- {overrides: name, value, ...}, {history}
-- Takes over expired leases and releases what is due before it claims.
-- touches P:l P:z P:c P:m P:r P:g P:n P:ses P:h, publishes P:wake
local t = clock()
local lease, want, most, lines = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function back(conv)
  local lane = lane_of(conv)
  if lane then
    call('HDEL', P .. ':c:' .. conv, 'f', 'n', 'x', 'y', 'e')
    call('HSET', P .. ':c:' .. conv, 's', 'r')
    make_ready(conv, lane.p, lane.t)
  end
end

for _, conv in ipairs(call('ZRANGEBYSCORE', P .. ':l', '-inf', t, 'LIMIT', 0, 200)) do
  call('ZREM', P .. ':l', conv)
  back(conv)
end
for _, conv in ipairs(call('ZRANGEBYSCORE', P .. ':z', '-inf', t, 'LIMIT', 0, 200)) do
  call('ZREM', P .. ':z', conv)
  back(conv)
end

local function session_of(conv)
  local fields = call('HGETALL', P .. ':ses:' .. conv)
  local found = { g = '0', at = '0', overrides = {} }
  for i = 1, #fields, 2 do
    if found[fields[i]] then
      found[fields[i]] = fields[i + 1]
    else
      local n = #found.overrides
      found.overrides[n + 1], found.overrides[n + 2] = fields[i], fields[i + 1]
      if fields[i] == 'o:queue' then found.mode = fields[i + 1] end
    end
  end
  return found
end

local function claim(conv)
  local key = P .. ':c:' .. conv
  local v = call('HMGET', key, 's', 'q', 'a')
  local session = session_of(conv)
  local deliveries = tonumber(v[3] or '0') + 1
  local n = most
  if (session.mode or v[2]) == 'each' then n = 1 end
  if deliveries > 1 then n = 1 end  -- a second delivery isolates the head: it may be poison
  local messages = call('LRANGE', P .. ':m:' .. conv, 0, n - 1)
  if v[1] ~= 'r' or #messages == 0 then return nil end
  local fence = call('INCR', P .. ':n')
  call('HSET', key, 's', 'l', 'f', fence, 'n', #messages, 'a', deliveries)
  call('ZADD', P .. ':l', t + lease, conv)
  local history = {}
  if session.at ~= '0' then
    history = call('LRANGE', P .. ':h:' .. conv .. ':' .. session.g, -lines, -1)
  end
  return { conv, fence, deliveries, messages, session.g, session.at, session.overrides, history }
end

local out = { t, 0 }
local function claim_all(convs)
  for _, conv in ipairs(convs) do
    local lane = claim(conv)
    if lane then out[#out + 1] = lane end
  end
end

for prio = 0, 2 do
  local ring = P .. ':g:' .. prio
  while #out - 2 < want do
    local tenant = call('LPOP', ring)
    if not tenant then break end
    local list = P .. ':r:' .. prio .. ':' .. tenant
    local alone = call('EXISTS', ring) == 0
    claim_all(call('LPOP', list, alone and want - (#out - 2) or 1) or {})
    if call('EXISTS', list) == 1 then call('RPUSH', ring, tenant) end
  end
end
local due = call('ZRANGE', P .. ':z', 0, 0, 'WITHSCORES')
if due[2] then out[2] = tonumber(due[2]) end
local late = call('ZRANGE', P .. ':l', 0, 0, 'WITHSCORES')
if late[2] and (out[2] == 0 or tonumber(late[2]) < out[2]) then out[2] = tonumber(late[2]) end
if #out - 2 < want then woken = false end  -- nothing is left for others
return finish(out)
