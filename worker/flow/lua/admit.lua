-- Allows one write to the API now: slot, write grant, fetch grant and the recorded intent together, all or none.
-- Idempotent by the lease's token.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 photo key; 3 token; 4 slots' cap, or '' when the call takes none;
--       5 intent (JSON flat pairs for the row, or ''), written before the call is sent; 6 the intent's stage or '';
--       then three for each budget: route, count, window with guard (ms)
-- RETURNS: 'granted', 0 | 'wait', ms | 'stale', 0
-- include: clock
-- include: place
-- include: budget
-- include: history
-- include: jobs
local root, now, key, token = KEYS[1], clock(ARGV[1]), ARGV[2], ARGV[3]
local row = root .. 'p:' .. key
local known = redis.call('HMGET', row, 'token', 'stage', 'partner', 'sent_ms')
if known[1] ~= token then return {'stale', 0} end

local wait = 0
for i = 7, #ARGV, 3 do
  wait = math.max(wait, budget_wait(root, ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), now, token))
end
local slots = root .. 'slots'
if ARGV[4] ~= '' and not redis.call('ZSCORE', slots, key) and redis.call('ZCARD', slots) >= tonumber(ARGV[4]) then
  wait = math.max(wait, 250)
end
if wait > 0 then return {'wait', wait} end

for i = 7, #ARGV, 3 do budget_take(root, ARGV[i], tonumber(ARGV[i + 2]), now, token) end
if ARGV[4] ~= '' then redis.call('ZADD', slots, 'NX', now, key) end
redis.call('ZREM', root .. 'unadmitted:' .. STEP_OF[known[2]], key)
if ARGV[5] ~= '' then
  redis.call('HSET', row, unpack(cjson.decode(ARGV[5])))
  redis.call('HSETNX', row, 'sent_ms', now)
  -- From the first send on a webhook may name it.
  jobs_enter(root, key, redis.call('HGET', row, 'idempotency_key'))
end
if ARGV[6] ~= '' and known[2] ~= ARGV[6] then
  redis.call('HSET', row, 'stage', ARGV[6], 'stage_since_ms', now)
  note_stage(row, ARGV[6], now)
  count(root, known[3], known[2], -1)
  count(root, known[3], ARGV[6], 1)
end
return {'granted', 0}
