-- The server's script cache was found empty: it has restarted, or a replica took over.
-- Budgets count as spent for as long as its persistence may have forgotten grants.
-- A root without a `boot` key has been emptied; `admit` and `dispatch` treat that as a whole window spent.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 what may be forgotten, ms
-- RETURNS: 'held' or 'empty'
-- include: clock
local now = clock(ARGV[1])
local boot = redis.call('GET', KEYS[1] .. 'boot')
if not boot then return 'empty' end
redis.call('SET', KEYS[1] .. 'boot', math.max(tonumber(boot), now + tonumber(ARGV[2])))
return 'held'
