-- What may be done now: leases the photos whose time has come and for which budgets, slots and hands are free.
-- Only the leader's call does anything; leading is a lease that the same call takes or renews.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 worker; 3 settings (JSON: leader_ms, lease_ms, alive_ms, cap, pressed, batch,
--       patience_ms, probe_ms, look_ahead,
--       ageing_ms, grows (most of the route that grows, 0: none), weights {partner: turns}, budgets {step: [[route,
--       count, window_ms, pace]]}; pace: ms from one call to the next, 0: as they come); 4 caps (JSON) or '' for none
-- RETURNS: 'follow', ms | 'lead', ms until the next look, live workers, photos at work, then for each photo sent:
--          step, key, token, label
-- include: clock
-- include: place
-- include: budget
-- include: slots
-- include: turns
-- include: version
-- include: back
-- include: pick
-- include: spend
-- include: caps
-- include: capped
-- include: in_force
-- include: grow
-- include: patience
-- include: paused
local root, now, set = KEYS[1], clock(ARGV[1]), cjson.decode(ARGV[3])
local leader = redis.call('GET', root .. 'leader')
if leader and leader ~= ARGV[2] then return {'follow', redis.call('PTTL', root .. 'leader')} end
redis.call('SET', root .. 'leader', ARGV[2], 'PX', set.leader_ms)

for _, budgets in pairs(set.budgets) do in_force(root, budgets) end
reclaim(root, now)
caps_review(root, ARGV[4], now)
local hands, workers = hands_free(root, now, set.alive_ms)
local answer, sleep = {'lead', 0, workers, 0}, 1000

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
    if budget[4] > 0 then left = math.min(left, pace_free(root, budget, now)) end
    free = math.min(free, left)
  end
  return free
end

-- Until a budget has a grant again there is no need to look; a few that come close together go out as one batch.
local function look_again(step)
  for _, budget in ipairs(set.budgets[step] or {}) do
    local wait = budget_wait(root, budget[1], budget[2], budget[3], now, '')
    if budget[4] > 0 and pace_free(root, budget, now) < 1 then wait = math.max(wait, budget[4]) end
    if wait > 0 then sleep = math.min(sleep, math.max(wait, 20)) end
  end
end

-- `patient`: nothing is held up if the step's photos gather first.
local function due(step, free, patient)
  local place = root .. 'due:' .. step
  local wait = patient and due_patience(place, now, set) or 0
  if wait > 0 then
    sleep = math.min(sleep, wait)
    return free
  end
  if free > 0 then
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', place, '-inf', now, 'LIMIT', 0, free)) do
      redis.call('ZREM', place, key)
      lease(step, key)
      free = free - 1
    end
  end
  local head = redis.call('ZRANGE', place, 0, 0, 'WITHSCORES')
  if head[2] and tonumber(head[2]) > now then sleep = math.min(sleep, tonumber(head[2]) - now)
  elseif head[2] then look_again(step) end
  return free
end

local function waits_longer(step)
  local head = redis.call('ZRANGE', root .. 'due:' .. step, 0, 0, 'WITHSCORES')
  return head[2] and tonumber(head[2]) < now and hands > 0
end

-- What waited before its create goes by its partner's turn again; a create that was sent is not made to wait.
local function ripen(kind, step)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', root .. 'due:' .. step, '-inf', now, 'LIMIT', 0, 500)) do
    local known = redis.call('HMGET', root .. 'p:' .. key, 'stage', 'priority', 'partner')
    if BACKLOG_OF[known[1]] == kind then
      redis.call('ZREM', root .. 'due:' .. step, key)
      backlog_add(root, kind, known[2], known[3], key)
    end
  end
end

local function may_go(partner)
  return not is_capped(root, partner) and not is_paused(root, partner)
end

local function backlog(kind, step, free, patient)
  end_rests(root, kind, now, may_go)
  local sent = 0
  local wait = patient and free > 0 and turn_patience(root, kind, free, now, set) or 0
  if wait > 0 then
    sleep = math.min(sleep, wait)
    return sent
  end
  if free > 0 then redis.call('HSET', root .. 'turns:' .. kind, 'given_ms', now) end
  while sent < free do
    local key = next_turn(root, kind, now, set.ageing_ms, set.weights, may_go)
    if not key then return sent end
    lease(step, key)
    sent = sent + 1
  end
  look_again(step)
  return sent
end

local cap = slots_cap(root, now, cap_in_force(root, set.cap), set.probe_ms)
local used, ahead = redis.call('ZCARD', root .. 'slots'), ahead_now(root)
local busy = used + ahead >= 2 * set.batch
-- Photos wait for slots that are in use: what frees or fills one is not kept waiting.
local pressed = ahead > 0 and used >= set.pressed * cap
for _, step in ipairs({'announce', 'store_outputs'}) do due(step, room(step), busy) end
ripen('generation', 'create_generation')
local slots = slots_free(root, cap)
local creates = due('create_generation', room('create_generation'))
-- A grant that waits is a grant that is lost.
local plenty = creates >= set.batch
slots = slots - backlog('generation', 'create_generation', math.min(creates, slots), busy and plenty and not pressed)
local reads = room('poll_generation')
pace_take(root, set.budgets.poll_generation, reads - due('poll_generation', reads, busy and not pressed), now)
due('poll_ingest', room('poll_ingest'), busy)
if set.grows > 0 then
  -- Slots and creates are free, nothing is ready for them, and what could be waits for a read.
  local starving = slots > 0 and creates > 0 and waits_longer('poll_ingest')
  grow(root, now, set.budgets.poll_ingest[1], starving, set.grows)
end
ripen('source', 'ingest_source')
local wanted = set.look_ahead - ahead + resting_now(root, 'generation')
local sources = due('ingest_source', room('ingest_source'))
backlog('source', 'ingest_source', math.min(sources, wanted), busy and sources >= set.batch)
answer[2] = math.max(5, math.ceil(sleep))
answer[4] = redis.call('ZCARD', root .. 'leases')
return answer
