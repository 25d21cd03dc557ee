-- Settle an event without a turn. ARGV: event or '' for our own accord, conv, dedupe ms, outcome, parts n + 4 each
-- Gives 1 done, 0 seen before.
-- touches P:d P:led P:ob P:out P:sent, publishes P:out
if ARGV[1] ~= '' then
  if not call('SET', P .. ':d:' .. ARGV[1], '1', 'NX', 'PX', ARGV[3]) then return 0 end
  count('accepted', 1)
  count(ARGV[4], 1)
end
post(ARGV[2], 5)
return finish(1)
