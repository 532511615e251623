-- A duty is done (or has failed, and is tried again sooner): it is due again after a while.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 duty; 3 worker; 4 until it is due again, ms
-- RETURNS: 'done' | 'lost' when somebody else has it by now
-- include: clock
local root, now, name = KEYS[1], clock(ARGV[1]), ARGV[2]
local duties = root .. 'duties'
if redis.call('HGET', duties, name .. ':worker') ~= ARGV[3] then return 'lost' end
redis.call('HSET', duties, name .. ':next', now + ARGV[4])
redis.call('HDEL', duties, name .. ':worker', name .. ':until')
return 'done'
