-- The account has another API key: its calls are tried again at once, and when none is refused it has gone on.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 how long calls are tried, ms
-- RETURNS: 'trial' | 'running' when it was not parked
-- include: clock
-- include: place
local root, now = KEYS[1], clock(ARGV[1])
redis.call('HDEL', root .. 'pauses', 'account')
wake(root)
if redis.call('HGET', root .. 'parking', 'state') ~= 'parked' then return 'running' end
redis.call('HSET', root .. 'parking', 'state', 'trial', 'next_ms', now + ARGV[2])
return 'trial'
