-- Tell another partition of an account's new owner. ARGV: account, fence
-- touches P:own
local key = P .. ':own:' .. ARGV[1]
if tonumber(call('GET', key) or '0') < tonumber(ARGV[2]) then
  call('DEL', key)
  call('SET', key, ARGV[2])
end
return 1
