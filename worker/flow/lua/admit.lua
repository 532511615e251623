-- Allows writes to the API now, each on its own: slot, grants and the recorded intent together, all or none.
-- Idempotent by the lease's token. What is before its create and paused by people waits, whoever holds its lease. The
-- first send of a billable create is counted, and held where a cap is reached.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 caps (JSON) or '' for none; then for each photo a JSON array: key, token, slots' cap
--       (0: the call takes none), intent (flat pairs for the row, written before the call is sent), the intent's stage
--       or '', budgets [[route, count, window with guard (ms)]]
-- RETURNS: for each photo: {'granted', 0} | {'wait', ms} | {'capped', ms until it may move by itself} | {'stale', 0}
-- include: clock
-- include: place
-- include: budget
-- include: in_force
-- include: slots
-- include: jobs
-- include: spend
-- include: caps
-- include: paused
local root, now = KEYS[1], clock(ARGV[1])
local caps = ARGV[2] ~= '' and cjson.decode(ARGV[2])
local slots = root .. 'slots'

local function admit(key, token, cap, intent, stage, budgets)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'token', 'stage', 'partner')
  if known[1] ~= token then return {'stale', 0} end
  if BACKLOG_OF[known[2]] and is_paused(root, known[3]) then return {'wait', 1000} end
  local buys = cap > 0 and known[2] ~= 'creating'
  local again = buys and caps and caps_look(root, caps, known[3], now)
  if again then return {'capped', math.max(1000, again - now)} end
  local wait = 0
  for _, budget in ipairs(in_force(root, budgets)) do
    wait = math.max(wait, budget_wait(root, budget[1], budget[2], budget[3], now, token))
  end
  if cap > 0 and not redis.call('ZSCORE', slots, key)
    and redis.call('ZCARD', slots) >= slots_cap(root, now, cap_in_force(root, cap)) then wait = math.max(wait, 250) end
  if wait > 0 then return {'wait', wait} end

  for _, budget in ipairs(budgets) do budget_take(root, budget[1], budget[3], now, token) end
  if cap > 0 then redis.call('ZADD', slots, 'NX', now, key) end
  if buys then
    spend_take(root, row, known[3], now)
    if caps then caps_look(root, caps, known[3], now) end
  end
  redis.call('ZREM', root .. 'unadmitted:' .. STEP_OF[known[2]], key)
  if #intent > 0 then
    redis.call('HSET', row, unpack(intent))
    redis.call('HSETNX', row, 'sent_ms', now)
    -- From the first send on a webhook may name it.
    jobs_enter(root, key, redis.call('HGET', row, 'idempotency_key'))
  end
  if stage ~= '' and known[2] ~= stage then
    redis.call('HSET', row, 'stage', stage, 'stage_since_ms', now)
    note_stage(row, stage, now)
    redis.call('ZREM', root .. 'remaking', key)
    count(root, known[3], known[2], -1)
    count(root, known[3], stage, 1)
  end
  return {'granted', 0}
end

local answer = {}
for i = 3, #ARGV do answer[#answer + 1] = admit(unpack(cjson.decode(ARGV[i]))) end
return answer
