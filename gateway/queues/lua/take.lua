-- Claim lanes. ARGV: lease ms, lanes wanted, most messages of a turn, lines of history
-- Gives {now, next due or 0, lanes...}; a lane: conv, fence, deliveries, how many messages, messages...,
-- how many names and values of the session, these..., history...
-- Takes over expired leases and releases what is due before it claims.
-- touches P:l P:z P:c P:m P:r P:g P:n P:ses P:h, publishes P:wake
local t = clock()
local lease, want, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

-- Every lane of `index` whose time has come is ready again.
local function back(index, delivered)
  for _, conv in ipairs(call('ZRANGEBYSCORE', index, '-inf', text(t), 'LIMIT', '0', '200')) do
    call('ZREM', index, conv)
    local lane, key = lane_of(conv), P .. ':c:' .. conv
    if lane then
      call('HDEL', key, 'n', 'x', 'y', 'e')
      call('HSET', key, 's', 'r', 'a', text(lane.a + delivered))
      make_ready(conv, lane.w)
    end
  end
end

back(P .. ':l', 1)
back(P .. ':z', 0)

local out = { t, 0 }
local deadline = text(t + lease)
local all, newest = text(most - 1), '-' .. ARGV[4]

local function claim(conv, fence)
  local key = P .. ':c:' .. conv
  local v = call('HMGET', key, 's', 'q', 'a')
  local session = call('HGETALL', P .. ':ses:' .. conv)
  local mode, generation, spoken = nil, '0', false
  for i = 1, #session, 2 do
    local name = session[i]
    if name == 'o:queue' then
      mode = session[i + 1]
    elseif name == 'g' then
      generation = session[i + 1]
    elseif name == 'at' then
      spoken = true
    end
  end
  local deliveries = tonumber(v[3] or '0') + 1
  -- A second delivery isolates the head: it may be poison.
  local alone = deliveries > 1 or (mode or string.match(v[2] or '', '%a*')) == 'each'
  local messages = call('LRANGE', P .. ':m:' .. conv, '0', alone and '0' or all)
  local n = #messages
  if v[1] ~= 'r' or n == 0 then
    if v[1] == 'r' or v[1] == 'z' or not v[1] then call('ZREM', P .. ':l', conv) end
    return
  end
  if n == 1 then call('HSET', key, 's', text(fence)) else call('HSET', key, 's', text(fence), 'n', text(n)) end
  -- Every table of a reply is asked for seven names: one flat list, each part behind its length.
  local lane = { conv, fence, deliveries, n, unpack(messages) }
  lane[n + 5] = #session
  for i = 1, #session do lane[n + 5 + i] = session[i] end
  if spoken then
    local at = n + 5 + #session
    local history = call('LRANGE', P .. ':h:' .. conv .. ':' .. generation, newest, '-1')
    for i = 1, #history do lane[at + i] = history[i] end
  end
  out[#out + 1] = lane
end

-- All are leased before any is looked at: one that cannot be claimed comes back when its lease ends,
-- and keeps nobody else from being claimed.
local function claim_all(convs)
  if #convs == 0 then return end
  local fence, leases = call('INCRBY', P .. ':n', text(#convs)) - #convs, {}
  for i, conv in ipairs(convs) do leases[2 * i - 1], leases[2 * i] = deadline, conv end
  call('ZADD', P .. ':l', unpack(leases))
  for i, conv in ipairs(convs) do
    local ok, problem = pcall(claim, conv, fence + i)
    if not ok then redis.log(redis.LOG_WARNING, 'cannot claim ' .. conv .. ': ' .. reason(problem)) end
  end
end

for prio = 0, 2 do
  local ring = P .. ':g:' .. prio
  while #out - 2 < want do
    local tenant = call('LPOP', ring)
    if not tenant then break end
    local list = P .. ':r:' .. prio .. ':' .. tenant
    local alone = call('EXISTS', ring) == 0
    -- Lua hands over at most 8,000 values in one call.
    claim_all(call('LPOP', list, alone and text(math.min(want - (#out - 2), 1000)) or '1') or {})
    if call('EXISTS', list) == 1 then call('RPUSH', ring, tenant) end
  end
end
local due = call('ZRANGE', P .. ':z', 0, 0, 'WITHSCORES')
if due[2] then out[2] = tonumber(due[2]) end
local late = call('ZRANGE', P .. ':l', 0, 0, 'WITHSCORES')
if late[2] and (out[2] == 0 or tonumber(late[2]) < out[2]) then out[2] = tonumber(late[2]) end
if #out - 2 < want then woken = false end  -- nothing is left for others
return finish(out)
