-- The API refused a call to protect itself: the route (or all of them) is paused for the whole fleet; when it spoke of
-- jobs in flight, somebody else uses the organisation too and the cap is lowered to what we hold, less one.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 route, or 'account'; 3 pause, ms;
--       4 '1' when it spoke of jobs in flight
-- RETURNS: when the pause ends, ms since the epoch
-- include: clock
-- include: grow
local root, now = KEYS[1], clock(ARGV[1])
local pauses = root .. 'pauses'
local ends = math.max(now + tonumber(ARGV[3]), tonumber(redis.call('HGET', pauses, ARGV[2]) or '0'))
redis.call('HINCRBY', root .. 'totals', 'refused:' .. ARGV[2], 1)
if ARGV[4] == '1' then
  local held = redis.call('ZCARD', root .. 'slots')
  redis.call('HSET', root .. 'cap', 'limit', math.max(1, held - 1), 'changed_ms', now)
else
  redis.call('HSET', pauses, ARGV[2], ends)
  shrink(root, now, ARGV[2])
end
return ends
