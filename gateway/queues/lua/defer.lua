-- The head part surely did not go out; later. ARGV: account, owner's fence, conv, reply, part, after ms, 1 to forget the attempt
-- Gives 1 done, 0 we do not own the account any more, -1 it was settled before.
-- touches P:own P:ob P:out P:sent
if not owned(ARGV[1], ARGV[2]) then return 0 end
local reply, part = ARGV[4], ARGV[5]
if not is_head(ARGV[3], reply, part) then return -1 end
local key = P .. ':sent:' .. reply
local word, number = string.match(call('HGET', key, part) or '', '^(%a+) ?(%d*)')
local attempt = tonumber(number) or 0
if ARGV[7] ~= '1' then
  if word ~= 'sending' then attempt = attempt + 1 end  -- an edit or a keyed send is not marked
elseif word == 'sending' then
  attempt = math.max(0, attempt - 1)
end
call('PEXPIRE', key, SENT_MS)
call('HSET', key, part, 'ready ' .. attempt)
call('ZADD', P .. ':out:' .. ARGV[1], clock() + tonumber(ARGV[6]), ARGV[3])
return 1
