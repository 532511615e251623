-- Ends a pause of the account or of a partner.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 'account' or 'partner:<name>'
-- RETURNS: 'resumed' | 'not_paused'
-- include: place
local root = KEYS[1]
local ended = redis.call('HDEL', root .. 'paused', ARGV[2])
wake(root)
return ended == 1 and 'resumed' or 'not_paused'
