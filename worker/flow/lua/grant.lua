-- Allows one call that belongs to no photo: a read of usage, of a page of the billing ledger, or of a job by hand.
-- Idempotent by its token.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 token; 3 route; 4 its count; 5 its window with guard, ms;
--       6 '1' for the probe of a parked account, which its own pause does not hold
-- RETURNS: 'granted', 0 | 'wait', ms
-- include: clock
-- include: budget
local root, now = KEYS[1], clock(ARGV[1])
local window = tonumber(ARGV[5])
local wait = budget_wait(root, ARGV[3], tonumber(ARGV[4]), window, now, ARGV[2], ARGV[6] == '1')
if wait > 0 then return {'wait', wait} end
budget_take(root, ARGV[3], window, now, ARGV[2])
return {'granted', 0}
