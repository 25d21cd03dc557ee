-- Count an amount in a sliding window of twelve steps. ARGV: table, key, amount, limit (0 for none), window ms
-- Gives 0 when less than the limit was spent before, else the ms until there is room; then nothing is counted.
-- touches P:spent:<table>:<key> (hash: number of the step -> amount)
local key = P .. ':spent:' .. ARGV[1] .. ':' .. ARGV[2]
local limit, window = tonumber(ARGV[4]), tonumber(ARGV[5])
local step = window / 12
local t = clock()
local at = math.floor(t / step)
local spent, steps, all = 0, {}, call('HGETALL', key)
for i = 1, #all, 2 do
  local number = tonumber(all[i])
  if number < at - 12 then
    call('HDEL', key, all[i])
  else
    steps[#steps + 1] = { number, tonumber(all[i + 1]) }
    spent = spent + tonumber(all[i + 1])
  end
end
if limit > 0 and spent >= limit then
  table.sort(steps, function(a, b) return a[1] < b[1] end)
  for _, one in ipairs(steps) do
    spent = spent - one[2]
    if spent < limit then return math.ceil((one[1] + 13) * step - t) end
  end
end
call('HINCRBYFLOAT', key, text(at), ARGV[3])
call('PEXPIRE', key, text(window + 2 * step))
return 0
