-- What may be done now: leases the photos whose time has come and for which budgets, slots and hands are free.
-- Only the leader's call does anything; leading is a lease that the same call takes or renews.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 worker; 3 settings (JSON: leader_ms, lease_ms, alive_ms, cap, probe_ms, look_ahead,
--       ageing_ms, budgets {step: [{route, count, window_ms, paced}]}); 4 the caps (JSON) or '' when there are none
-- RETURNS: 'follow', ms | 'lead', ms until the next look, live workers, then for each photo: step, key, token, label
-- include: clock
-- include: place
-- include: budget
-- include: spend
-- include: caps
-- include: capped
-- include: pick
local root, now, set = KEYS[1], clock(ARGV[1]), cjson.decode(ARGV[3])
local leader = redis.call('GET', root .. 'leader')
if leader and leader ~= ARGV[2] then return {'follow', redis.call('PTTL', root .. 'leader')} end
redis.call('SET', root .. 'leader', ARGV[2], 'PX', set.leader_ms)

reclaim(root, now)
caps_review(root, ARGV[4], now)
local hands, workers = hands_free(root, now, set.alive_ms)
local answer, sleep = {'lead', 0, workers}, 1000

local function lease(step, key)
  local row = root .. 'p:' .. key
  local named = redis.call('HMGET', row, 'listing_id', 'photo_id')
  if not named[1] then return end
  local token = string.format('%.0f', redis.call('INCR', root .. 'fence'))
  redis.call('HSET', row, 'token', token)
  redis.call('ZADD', root .. 'leases', now + set.lease_ms, key)
  redis.call('ZADD', root .. 'unadmitted:' .. step, now, key)
  for _, word in ipairs({step, key, token, named[1] .. '/' .. named[2]}) do answer[#answer + 1] = word end
  hands = hands - 1
end

-- How many photos of a step may go out: hands, and what its budgets leave after those that are on their way.
local function room(step)
  local free = hands
  for _, budget in ipairs(set.budgets[step] or {}) do
    local left = budget_free(root, budget[1], budget[2], budget[3], now)
      - redis.call('ZCARD', root .. 'unadmitted:' .. step)
    if budget[4] then left = math.min(left, pace_free(root, budget, now)) end
    if left <= 0 then sleep = math.min(sleep, 50) end
    free = math.min(free, left)
  end
  return free
end

local function due(step, free)
  local place = root .. 'due:' .. step
  if free > 0 then
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', place, '-inf', now, 'LIMIT', 0, free)) do
      redis.call('ZREM', place, key)
      lease(step, key)
      free = free - 1
    end
  end
  local head = redis.call('ZRANGE', place, 0, 0, 'WITHSCORES')
  if head[2] and tonumber(head[2]) > now then sleep = math.min(sleep, tonumber(head[2]) - now) end
  return free
end

local function backlog(kind, step, free)
  while free > 0 do
    local key = next_turn(root, kind, now, set.ageing_ms)
    if not key then return end
    lease(step, key)
    free = free - 1
  end
end

for _, step in ipairs({'announce', 'store_outputs'}) do due(step, room(step)) end
local slots = slots_free(root, now, set.cap, set.probe_ms)
local creates = due('create_generation', room('create_generation'))
backlog('generation', 'create_generation', math.min(creates, slots))
local reads = room('poll_generation')
pace_take(root, set.budgets.poll_generation, reads - due('poll_generation', reads), now)
due('poll_ingest', room('poll_ingest'))
local ahead = set.look_ahead - ahead_now(root)
backlog('source', 'ingest_source', math.min(due('ingest_source', room('ingest_source')), ahead))
answer[2] = math.max(5, math.ceil(sleep))
return answer
