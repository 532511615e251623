-- Gives up the lease of one sink's pump, if the caller has it.
-- KEYS: 1 the account's root
-- ARGV: 1 sink; 2 the pump's name
-- RETURNS: 1 when it was given up, 0 when it is somebody else's
local lease = KEYS[1] .. 'pump:' .. ARGV[1]
if redis.call('GET', lease) ~= ARGV[2] then return 0 end
return redis.call('DEL', lease)
