-- Takes or renews a duty of the fleet's upkeep: one worker at a time does it, each so often, by Redis's clock.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 duty; 3 worker; 4 how often, ms; 5 its lease, ms; 6 until its first time, ms
-- RETURNS: 'mine' | 'later'
-- include: clock
local root, now, name = KEYS[1], clock(ARGV[1]), ARGV[2]
local duties = root .. 'duties'
local known = redis.call('HMGET', duties, name .. ':next', name .. ':worker', name .. ':until')
local due = tonumber(known[1] or now + ARGV[6])
if not known[1] then redis.call('HSET', duties, name .. ':next', due) end
if now < due then return 'later' end
if known[2] and known[2] ~= ARGV[3] and now < tonumber(known[3]) then return 'later' end
redis.call('HSET', duties, name .. ':worker', ARGV[3], name .. ':until', now + ARGV[5])
return 'mine'
