-- The account has another API key: the pause that its last refusal set is over.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''
-- RETURNS: 'resumed' | 'running' when there was no such pause
-- include: clock
-- include: place
local root, now = KEYS[1], clock(ARGV[1])
local paused = tonumber(redis.call('HGET', root .. 'pauses', 'account') or '0') > now
redis.call('HDEL', root .. 'pauses', 'account')
redis.call('DEL', root .. 'paused_reason')
wake(root)
return paused and 'resumed' or 'running'
