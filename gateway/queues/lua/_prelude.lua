-- Shared by all scripts. P is the partition: the hash tag in front of every key.
-- Runs on Redis 6.2 and newer; time is always the server's.
--
-- keys                         type    what
-- P:d:<event>                  string  seen before (dedupe), expires
-- P:m:<conv>                   list    the lane: "<event>\n<json>", oldest first, head stays until settled
-- P:c:<conv>                   hash    the lane's state, only while something waits:
--                                        s  r ready | z delayed | fence of the lease
--                                        w  <prio>:<tenant>, where its ready list is
--                                        q  mode (quiet: only what was overheard waits), and behind a blank the debounce ms if any
--                                        n  claimed messages, if not 1
--                                        a  deliveries of the head that have ended, if not 0
--                                        x  1: a newer message interrupts
--                                        y  why delayed: d debounce, r retry
--                                        e  first moment of a debounce, ms
-- P:r:<prio>:<tenant>          list    ready lanes of a tenant
-- P:g:<prio>                   list    ring of tenants that have ready lanes
-- P:l                          zset    leased lanes by deadline, ms
-- P:z                          zset    delayed lanes by due time, ms
-- P:n                          string  the last fence given out
-- P:led                        hash    ledger: accepted answered refused quarantined cancelled waiting; sent uncertain failed
-- P:out:<account>              zset    conversations with outbox parts by due time, ms
-- P:ob:<conv>                  list    outbox parts: "<reply>\n<part>\n<json>", in order
-- P:sent:<reply>               hash    part -> ready | sending <attempt> <fence> | sent <id> | uncertain | quarantined;
--                                        v -> native id of the visible message, ? while the first send is under way
-- P:ses:<conv>                 hash    session: g generation, at last turn ms, o:<name> override
-- P:h:<conv>:<generation>      list    hot history, JSON
-- P:dead                       stream  quarantined messages and parts
-- P:own:<account>              string  fence of the account's owner
-- P:spent:<table>:<key>        hash    amounts of a sliding window, by step
-- P:partitions                 string  how many partitions there are; in the first one only
-- channels P:wake (workers), P:out (senders)

--
-- Scripts whose body is `return each(...)` run once for all calls of a loop tick. ARGV: per item
-- how many arguments, then these. They give a list with one reply per item.
--
-- When the server is full it refuses every command that may need memory, until a script has written
-- once. Scripts that make room (all but put, say, record, and log_append for what comes in) therefore
-- begin with a write that needs none.
--
-- A command costs less than its way from Lua to Redis and into the AOF. Hence numbers are handed over
-- as text (Redis prints others with 17 digits), absent fields stand for the usual value, and within
-- `each` ended leases and ready lanes are written once for all items, at the end.

local P = KEYS[1]
local ARGV = ARGV
local call = redis.call

local now
local function clock()
  if not now then
    local t = call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return now
end

-- A number as the text it is stored as.
local function text(number)
  return string.format('%.0f', number)
end

local counts, woken = {}, false

local function count(what, by)
  counts[what] = (counts[what] or 0) + by
end

-- Priority and tenant of <prio>:<tenant>.
local function split_where(where)
  return string.match(where, '^(%d+):(.*)$')
end

-- Within `each`: leases that ended, and lists of lanes that became ready, by where they go.
local ended, ready

local function push_ready(where, ...)
  if call('RPUSH', P .. ':r:' .. where, ...) == select('#', ...) then
    local prio, tenant = split_where(where)
    call('RPUSH', P .. ':g:' .. prio, tenant)
  end
end

-- Put a lane at the end of its tenant's ready list, and the tenant into the ring.
local function make_ready(conv, where)
  woken = true
  if not ready then return push_ready(where, conv) end
  local lanes = ready[where]
  if not lanes then
    lanes = { where }
    ready[where] = lanes
    ready[#ready + 1] = lanes
  end
  lanes[#lanes + 1] = conv
end

local function end_lease(conv)
  if ended then ended[#ended + 1] = conv else call('ZREM', P .. ':l', conv) end
end

-- Write down what was counted, woken, ended and made ready. Every script that counts, wakes or releases ends with it.
local function finish(reply)
  if ended and #ended > 0 then call('ZREM', P .. ':l', unpack(ended)) end
  for _, lanes in ipairs(ready or {}) do push_ready(unpack(lanes)) end
  for what, by in pairs(counts) do
    if by ~= 0 then call('HINCRBY', P .. ':led', what, text(by)) end
  end
  if woken then call('PUBLISH', P .. ':wake', '') end
  return reply
end

local function reason(problem)
  local words = type(problem) == 'table' and problem.err or tostring(problem)
  return string.match(words, '(%u%u+ .*)') or 'ERR ' .. words
end

-- One reply per item; an item that fails gives its error and leaves the others alone.
local function each(one)
  local out, i, k, last = {}, 1, 0, #ARGV
  ended, ready = {}, {}
  while i <= last do
    local ok, reply = pcall(one, i + 1)
    k = k + 1
    out[k] = ok and reply or { err = reason(reply) }
    i = i + tonumber(ARGV[i]) + 1
  end
  return finish(out)
end

-- A write that needs no memory.
local function make_room()
  call('DEL', P .. ':-')
end

local function unready(conv, where)
  local list = P .. ':r:' .. where
  call('LREM', list, 1, conv)
  if call('EXISTS', list) == 0 then
    local prio, tenant = split_where(where)
    call('LREM', P .. ':g:' .. prio, 0, tenant)
  end
end

local function interrupt(conv)
  call('PUBLISH', P .. ':wake', conv)
end

-- Take the claimed messages out of a lane; `release` removes the list when none are left.
local function consume(conv, lane, left)
  if left > 0 then call('LTRIM', P .. ':m:' .. conv, text(lane.n), '-1') end
  count('waiting', -lane.n)
end

-- What becomes of a lane when its lease ends: gone, ready again, or delayed until `due` for the
-- reason `why`. `left`: how many messages wait. `deliveries` of the head, 0 for a new head.
local function release(conv, lane, left, deliveries, due, why)
  end_lease(conv)
  local key = P .. ':c:' .. conv
  if left == 0 then
    call('DEL', key, P .. ':m:' .. conv)
    return
  end
  call('HDEL', key, 'n', 'x', 'a')
  if deliveries > 0 then call('HSET', key, 'a', text(deliveries)) end
  if due then
    call('HSET', key, 's', 'z', 'y', why, 'e', text(due - lane.b))
    call('ZADD', P .. ':z', text(due), conv)
  else
    call('HSET', key, 's', 'r')
    make_ready(conv, lane.w)
  end
end

-- The state s is l while it is leased, under the fence f.
local function lane_of(conv)
  local v = call('HMGET', P .. ':c:' .. conv, 's', 'w', 'q', 'n', 'x', 'a')
  local s = v[1]
  if not s then return nil end
  local fence = s ~= 'r' and s ~= 'z' and s
  return { s = fence and 'l' or s, f = fence, w = v[2], b = tonumber(string.match(v[3], '%d+$') or '0'),
           n = tonumber(v[4] or '1'), x = v[5], a = tonumber(v[6] or '0') }
end

-- Whether the account belongs to the owner with this fence.
local owners = {}
local function owned(account, fence)
  if owners[account] == nil then owners[account] = call('GET', P .. ':own:' .. account) end
  return owners[account] == fence
end

local SENT_MS = '691200000'

-- Append outbox parts: n at ARGV[i], then account, reply, part and element each; a part known
-- already is left alone. Gives the index behind them. Elements come whole from the caller: Redis
-- hashes every byte of every string that a script makes.
local function post(conv, i)
  local n, told = tonumber(ARGV[i]), nil
  for k = i + 1, i + 4 * n, 4 do
    local account, reply, part = ARGV[k], ARGV[k + 1], ARGV[k + 2]
    local state = P .. ':sent:' .. reply
    if call('HSETNX', state, part, 'ready') == 1 then
      call('PEXPIRE', state, SENT_MS)
      if call('RPUSH', P .. ':ob:' .. conv, ARGV[k + 3]) == 1 then
        call('ZADD', P .. ':out:' .. account, text(clock()), conv)
      end
      if told ~= account then
        call('PUBLISH', P .. ':out', account .. '\n' .. conv)
        told = account
      end
    end
  end
  return i + 4 * n + 1
end

-- Whether this part is the oldest of its conversation's outbox.
local function is_head(conv, reply, part)
  local head = call('LINDEX', P .. ':ob:' .. conv, '0')
  local prefix = reply .. '\n' .. part .. '\n'
  return head and string.sub(head, 1, #prefix) == prefix, head
end
