-- What the dispatcher chooses by: lost leases, free hands, free slots, the look-ahead, paced reads.

-- A lease that ran out is handed out again. How often a step was lost while somebody worked on it is counted: one that
-- kills its workers is ended by whoever opens it next.
local function reclaim(root, now)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', root .. 'leases', '-inf', now, 'LIMIT', 0, 500)) do
    local row = root .. 'p:' .. key
    local known = redis.call('HMGET', row, 'stage', 'token', 'opened', 'v')
    local step = STEP_OF[known[1]]
    if step then
      if known[3] == known[2] then redis.call('HINCRBY', row, 'lost', 1) end
      redis.call('ZREM', root .. 'unadmitted:create_generation', key)
      hand_back(root, key, step, now)
    elseif known[1] and is_newer(known[4]) then
      -- A stage that only a newer release knows: its leader takes the lease back.
      redis.call('ZADD', root .. 'leases', now + LEFT_MS, key)
    else
      redis.call('ZREM', root .. 'leases', key)
    end
  end
end

local function hands_free(root, now, alive_ms)
  local hands, workers = 0, 0
  for _, died in ipairs(redis.call('ZRANGEBYSCORE', root .. 'workers', '-inf', now - alive_ms)) do
    redis.call('ZREM', root .. 'workers', died)
    redis.call('HDEL', root .. 'hands', died)
  end
  for _, worker in ipairs(redis.call('ZRANGE', root .. 'workers', 0, -1)) do
    hands = hands + cjson.decode(redis.call('HGET', root .. 'hands', worker) or '[0]')[1]
    workers = workers + 1
  end
  return hands - redis.call('ZCARD', root .. 'leases'), workers
end

-- Creates on their way will take a slot each, but for repeated ones, which have kept theirs.
local function slots_free(root, cap)
  local sent = root .. 'unadmitted:create_generation'
  local kept = redis.call('ZINTERCARD', 2, sent, root .. 'slots')
  return cap - redis.call('ZCARD', root .. 'slots') - (redis.call('ZCARD', sent) - kept)
end

-- Photos between the backlog of sources and a slot; those that wait for another picture need no source.
local function ahead_now(root)
  local ahead = redis.call('ZCARD', root .. 'unadmitted:ingest_source') - redis.call('ZCARD', root .. 'remaking')
  for _, stage in ipairs({'ingesting', 'ingested'}) do
    ahead = ahead + tonumber(redis.call('HGET', root .. 'stages', stage) or '0')
  end
  return ahead
end

-- Reads are spread over their window, one in each `interval`: at most a twentieth of the window's in one burst.
local function pace_at(root, budget, now)
  local behind = math.max(1, budget[2] / 20) * budget[4]
  return math.max(tonumber(redis.call('HGET', root .. 'pace', budget[1]) or '0'), now - behind)
end

local function pace_free(root, budget, now)
  return math.floor((now - pace_at(root, budget, now)) / budget[4])
end

local function pace_take(root, budgets, taken, now)
  if taken <= 0 or not budgets then return end
  for _, budget in ipairs(budgets) do
    redis.call('HSET', root .. 'pace', budget[1], string.format('%.3f', pace_at(root, budget, now) + taken * budget[4]))
  end
end
