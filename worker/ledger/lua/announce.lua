-- Sends a message that no photo's end brings along, once for each id within a day.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 where to (JSON, see emit.lua); 3 the message's id; 4 the word it is ordered by; 5 the message
-- RETURNS: 1 when it was sent, 0 when it had been
-- include: clock
-- include: emit
local root, now = KEYS[1], clock(ARGV[1])
if not redis.call('SET', root .. 'announced:' .. ARGV[3], '1', 'NX', 'PX', 86400000) then return 0 end
emit(root, cjson.decode(ARGV[2]), ARGV[4], ARGV[5], now)
return 1
