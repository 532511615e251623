-- Keeps the usage summary that was just read, and what had been bought by then, so that the allowance can be counted on.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 the summary (JSON); 3 its period's start, ms or ''; 4 its end, ms or '';
--       5 what remains of the allowance, or ''; 6 '0' when it says that the organisation may not use the API, else ''
-- RETURNS: now, ms
-- include: clock
-- include: place
local root, now = KEYS[1], clock(ARGV[1])
redis.call('DEL', root .. 'usage')
-- Jobs in flight are not in the summary's numbers yet.
redis.call('HSET', root .. 'usage', 'raw', ARGV[2], 'usage_ms', now, 'period_start_ms', ARGV[3], 'period_end_ms', ARGV[4],
  'remaining', ARGV[5], 'refused', ARGV[6], 'bought', redis.call('HGET', root .. 'totals', 'bought') or '0',
  'in_flight', redis.call('ZCARD', root .. 'slots'))
-- Caps by allowance and period are looked at anew.
redis.call('DEL', root .. 'caps_seen')
if redis.call('ZCARD', root .. 'capped') > 0 then wake(root) end
return now
