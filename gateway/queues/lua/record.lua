-- Small durable facts. ARGV: verb, table, key, value, ttl ms (0 for good)
-- P:rec:<table> hash key -> value; P:rect:<table> zset key by expiry ms (inf for good)
-- verbs: set, add (only when absent), get, take (get and remove), remove, items
local verb, key = ARGV[1], ARGV[3]
local hash, index = P .. ':rec:' .. ARGV[2], P .. ':rect:' .. ARGV[2]
local t = clock()
for _, old in ipairs(call('ZRANGEBYSCORE', index, '-inf', t, 'LIMIT', 0, 100)) do
  call('HDEL', hash, old)
  call('ZREM', index, old)
end
local function alive()
  local expiry = call('ZSCORE', index, key)
  return expiry and (expiry == 'inf' or tonumber(expiry) > t)
end
local function store()
  call('HSET', hash, key, ARGV[4])
  call('ZADD', index, ARGV[5] == '0' and '+inf' or t + tonumber(ARGV[5]), key)
end
if verb == 'set' then store() return 1 end
if verb == 'add' then
  if alive() then return 0 end
  store()
  return 1
end
if verb == 'items' then
  local out = {}
  for _, name in ipairs(call('ZRANGEBYSCORE', index, '(' .. t, '+inf')) do
    out[#out + 1] = name
    out[#out + 1] = call('HGET', hash, name)
  end
  return out
end
if not alive() then
  if verb == 'get' or verb == 'take' then return false end
  return 0
end
if verb == 'get' then return call('HGET', hash, key) end
local value = call('HGET', hash, key)
call('HDEL', hash, key)
call('ZREM', index, key)
if verb == 'take' then return value end
return 1
