-- Allows one call that belongs to no photo: a read of usage, of a page of the billing ledger, or of a job by hand.
-- Idempotent by its token.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 token; 3 route; 4 its count; 5 its window with guard, ms;
--       6 '1' for the probe of a parked account, which its own pause does not hold
-- RETURNS: 'granted', 0 | 'wait', ms
-- include: clock
-- include: budget
-- include: in_force
local root, now = KEYS[1], clock(ARGV[1])
local budget = in_force(root, {{ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])}})[1]
local wait = budget_wait(root, budget[1], budget[2], budget[3], now, ARGV[2], ARGV[6] == '1')
if wait > 0 then return {'wait', wait} end
budget_take(root, budget[1], budget[3], now, ARGV[2])
return {'granted', 0}
