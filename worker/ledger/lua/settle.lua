-- Settles steps, each photo on its own: everything that follows from one, or nothing when the lease is not the caller's.
-- A repeated call with the same token answers as the first did.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 where messages go (JSON, see emit.lua); 3 retention of ended rows, ms;
--       4 guard of the budgets, ms; then for each photo: key, token, the step (JSON: stage, delay, set (flat pairs),
--       drop, release, adopt, event, retry, poll, duration, duration_kinds, announce, job, unspent,
--       requeue, cancelled: the step instead when the photo was cancelled meanwhile)
-- RETURNS: for each photo: {'settled', stage} | {'stale', stage}
-- include: clock
-- include: place
-- include: paused
-- include: park
-- include: revise
-- include: emit
-- include: ended
-- include: learn
-- include: called
-- include: jobs
-- include: bought
-- include: notice
-- include: spend
local root, now, to = KEYS[1], clock(ARGV[1]), cjson.decode(ARGV[2])

-- Where the photo waits from now on.
local function place(key, row, was, stage, partner, priority, step)
  if LISTED[stage] then redis.call('ZADD', root .. 'held:' .. stage, now, key) end
  -- Another picture whose create was refused waits as one again.
  if stage == 'ingested' and redis.call('HEXISTS', row, 'parent_job_id') == 1 then
    redis.call('ZADD', root .. 'remaking', 'NX', now, key)
  end
  if ENDED[stage] then
    listing_ended(root, row, key, stage, now, step.announce, to, ARGV[3])
  elseif stage == 'ingested' and (step.requeue or (was ~= 'ingested' and was ~= 'creating')) then
    backlog_add(root, 'generation', priority, partner, key)
  elseif STEP_OF[stage] then
    redis.call('ZADD', root .. 'due:' .. STEP_OF[stage], now + step.delay, key)
  end
end

local function settle(key, token, step)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'token', 'settled', 'partner', 'priority', 'next_fingerprint',
    'idempotency_key', 'cancel')
  local was, partner, priority = known[1], known[4], known[5]
  if known[3] == token then return {'settled', was} end
  if not was or known[2] ~= token then return {'stale', was or 'unknown'} end
  -- A failure of what is to be kept is told as one.
  if step.cancelled and known[8] and (step.stage ~= 'failed' or known[8] == 'drop') then step = step.cancelled end
  local stage = step.stage

  redis.call('ZREM', root .. 'leases', key)
  redis.call('ZREM', root .. 'unadmitted:' .. STEP_OF[was], key)
  call_is_over(root, STEP_OF[was], token, now, tonumber(ARGV[4]))
  if #step.drop > 0 then redis.call('HDEL', row, unpack(step.drop)) end
  redis.call('HSET', row, 'stage', stage, 'token', '', 'settled', token, unpack(step.set))
  redis.call('HDEL', row, 'lost', 'opened', 'opener')
  if step.retry then redis.call('HINCRBY', row, 'attempt', 1) end
  if step.poll then redis.call('HINCRBY', row, 'polls', 1) end
  if stage ~= was then
    redis.call('HSET', row, 'stage_since_ms', now)
    note_stage(row, stage, now)
    if was == 'ingested' then redis.call('ZREM', root .. 'remaking', key) end
    redis.call('HDEL', row, 'attempt')
    if not step.poll then redis.call('HDEL', row, 'polls') end
    count(root, partner, was, -1)
    count(root, partner, stage, 1)
    jobs_settled(root, now, key, was, stage, known[7])
  end
  if step.unspent then spend_return(root, row, partner) end
  if step.job then
    bought_enter(root, key, step.job, now)
    redis.call('HDEL', row, 'spent_day')
  end
  if step.release then redis.call('ZREM', root .. 'slots', key) end
  if step.adopt then redis.call('ZADD', root .. 'slots', 'NX', now, key) end
  for _, kind in ipairs(step.duration_kinds or {}) do learn(root, kind, step.duration) end
  if step.event then emit(root, to, redis.call('HGET', row, 'listing_key'), step.event, now) end
  if known[6] and (stage == 'ingested' or stage == 'accepted' or ENDED[stage]) then
    -- A changed request was waiting for this moment: no job of the old one is open, and none is begun any more.
    restart(root, key, now, stage, priority, partner, false, next_revision(row))
    return {'settled', 'accepted'}
  end
  place(key, row, was, stage, partner, priority, step)
  if stage == 'generating' and was ~= stage then stage = notice_early(root, now, key, stage) end
  return {'settled', stage}
end

local answer = {}
for i = 5, #ARGV, 3 do answer[#answer + 1] = settle(ARGV[i], ARGV[i + 1], cjson.decode(ARGV[i + 2])) end
wake(root)
return answer
