-- What the dispatcher chooses by: lost leases, free hands, free slots, the look-ahead, paced reads, whose turn it is.

-- A lease that ran out is handed out again. How often a step was lost while somebody worked on it is counted: one that
-- kills its workers is ended by whoever opens it next.
local function reclaim(root, now)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', root .. 'leases', '-inf', now, 'LIMIT', 0, 500)) do
    local row = root .. 'p:' .. key
    local known = redis.call('HMGET', row, 'stage', 'token', 'opened')
    redis.call('ZREM', root .. 'leases', key)
    local step = STEP_OF[known[1]]
    if step then
      if known[3] == known[2] then redis.call('HINCRBY', row, 'lost', 1) end
      redis.call('HSET', row, 'token', '')
      redis.call('ZREM', root .. 'unadmitted:' .. step, key)
      redis.call('ZREM', root .. 'unadmitted:create_generation', key)
      redis.call('ZADD', root .. 'due:' .. step, now, key)
    end
  end
end

local function hands_free(root, now, alive_ms)
  local hands, workers = 0, 0
  redis.call('ZREMRANGEBYSCORE', root .. 'workers', '-inf', now - alive_ms)
  for _, worker in ipairs(redis.call('ZRANGE', root .. 'workers', 0, -1)) do
    hands = hands + cjson.decode(redis.call('HGET', root .. 'hands', worker) or '[0]')[1]
    workers = workers + 1
  end
  return hands - redis.call('ZCARD', root .. 'leases'), workers
end

-- The cap in force: lowered after a refusal for jobs in flight, probed back up one by one.
local function slots_free(root, now, cap, probe_ms)
  local lowered = redis.call('HMGET', root .. 'cap', 'limit', 'changed_ms')
  if lowered[1] then
    local limit = tonumber(lowered[1])
    if now - tonumber(lowered[2]) >= probe_ms then
      limit = limit + 1
      redis.call('HSET', root .. 'cap', 'limit', limit, 'changed_ms', now)
    end
    if limit >= cap then redis.call('DEL', root .. 'cap') end
    cap = math.min(cap, limit)
  end
  -- Creates on their way will take a slot each, but for repeated ones, which have kept theirs.
  local sent = root .. 'unadmitted:create_generation'
  local kept = redis.call('ZINTERCARD', 2, sent, root .. 'slots')
  return cap - redis.call('ZCARD', root .. 'slots') - (redis.call('ZCARD', sent) - kept)
end

-- Photos between the backlog of sources and a slot.
local function ahead_now(root)
  local ahead = redis.call('ZCARD', root .. 'unadmitted:ingest_source')
  for _, stage in ipairs({'ingesting', 'ingested'}) do
    ahead = ahead + tonumber(redis.call('HGET', root .. 'stages', stage) or '0')
  end
  return ahead - capped_ready(root)
end

-- Reads are spread over their window: at most a twentieth of it may come in one burst.
local function pace_free(root, budget, now)
  local interval = budget[3] / budget[2]
  local burst = math.max(1, budget[2] / 20)
  local at = math.max(tonumber(redis.call('HGET', root .. 'pace', budget[1]) or '0'), now - burst * interval)
  return math.floor((now - at) / interval)
end

local function pace_take(root, budgets, taken, now)
  if taken <= 0 or not budgets then return end
  for _, budget in ipairs(budgets) do
    local interval = budget[3] / budget[2]
    local at = tonumber(redis.call('HGET', root .. 'pace', budget[1]) or '0')
    at = math.max(at, now - math.max(1, budget[2] / 20) * interval) + taken * interval
    redis.call('HSET', root .. 'pace', budget[1], string.format('%.3f', at))
  end
end

-- The first photo of a backlog whose partner has reached no cap. Turns of partners lie one apart, so it is near the head.
local function first_uncapped(root, place)
  local marks = redis.call('ZCARD', root .. 'capped')
  if marks == 0 then return redis.call('ZRANGE', place, 0, 0)[1] end
  if redis.call('ZSCORE', root .. 'capped', 'account') then return nil end
  for _, key in ipairs(redis.call('ZRANGE', place, 0, 20 + 4 * marks)) do
    if not is_capped(root, redis.call('HGET', root .. 'p:' .. key, 'partner') or '') then return key end
  end
end

-- Priority first, then fair turns; a photo that waits gains one priority in each `ageing_ms`. O(log n).
local function next_turn(root, kind, now, ageing_ms)
  local best, class, chosen = nil, nil, nil
  for priority = 9, 0, -1 do
    local head = first_uncapped(root, root .. 'backlog:' .. kind .. ':' .. priority)
    if head then
      local since = tonumber(redis.call('HGET', root .. 'p:' .. head, 'accepted_ms') or now)
      local urgency = priority + math.floor((now - since) / ageing_ms)
      if not best or urgency > best then best, class, chosen = urgency, priority, head end
    end
  end
  if not class then return nil end
  local place = root .. 'backlog:' .. kind .. ':' .. class
  redis.call('HSET', root .. 'turns:' .. kind, 'v:' .. class, redis.call('ZSCORE', place, chosen))
  redis.call('ZREM', place, chosen)
  return chosen
end
