-- What a webhook changes. A job that it says to have succeeded, with outputs, is over: the photo goes on to storing
-- them, and nothing is read. Any other news makes the job be read now: on doubt the job itself says how it is.
-- `news`: {job, outputs (as the row has them, or ''), asset}. Nothing but photos whose job may be open are touched, so
-- a terminal state never goes back. A lease is taken away: whoever holds it settles nothing.

-- What is learnt together, as `Request.kind` has it (worker/core/request.py).
local function kind_of(root, key)
  local order = redis.call('GET', root .. 'o:' .. key)
  local request = cjson.decode(order:match('^[^\n]*'))
  return request.workflow .. ':' .. request.capture_type
end

local function notice_apply(root, now, key, news)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'partner', 'priority', 'job_id', 'idempotency_key', 'created_ms',
    'sent_ms', 'source_asset_id', 'rereads')
  local was, partner, job = known[1], known[2], known[4] or news.job
  if not IN_FLIGHT[was] then return 'late' end
  if job == '' then return 'ignored' end
  if news.job ~= '' and news.job ~= job then return 'other' end

  local believed = news.outputs ~= '' and not known[9] and (news.asset == '' or news.asset == (known[8] or news.asset))
  local stage = believed and 'storing' or 'generating'
  redis.call('ZREM', root .. 'leases', key)
  redis.call('ZREM', root .. 'unadmitted:' .. (STEP_OF[was] or 'poll_generation'), key)
  unplace(root, key, was, known[3], partner)
  redis.call('HSET', row, 'stage', stage, 'token', '', 'job_id', job)
  redis.call('HSETNX', row, 'created_ms', known[7] or now)
  -- Known by now, so bought for certain.
  if was ~= 'generating' then
    bought_enter(root, key, job, now)
    redis.call('HDEL', row, 'spent_day')
  end
  redis.call('HDEL', row, 'body', 'sent_ms', 'opened', 'opener', 'lost', 'attempt', 'polls', 'error_code', 'error_message')
  if stage ~= was then
    redis.call('HSET', row, 'stage_since_ms', now)
    note_stage(row, stage, now)
    count(root, partner, was, -1)
    count(root, partner, stage, 1)
  end
  if believed then
    redis.call('HSET', row, 'outputs', news.outputs)
    redis.call('ZREM', root .. 'slots', key)
    jobs_leave(root, known[5], job)
    jobs_heard(root, now, 'over', job)
    for _, kind in ipairs({kind_of(root, key), 'all'}) do learn(root, kind, now - (known[6] or known[7] or now)) end
    redis.call('ZADD', root .. 'due:store_outputs', now, key)
  else
    redis.call('ZADD', root .. 'slots', 'NX', now, key)
    jobs_enter(root, key, known[5], job)
    redis.call('ZADD', root .. 'due:poll_generation', now, key)
  end
  wake(root)
  return believed and 'applied' or 'read'
end

-- News that came before its job was known here, if any, are taken out of the inbox; returns the photo's stage.
local function notice_early(root, now, key, stage)
  local job = redis.call('HGET', root .. 'p:' .. key, 'job_id') or ''
  local kept = redis.call('GET', root .. 'inbox:' .. job)
  if not kept then return stage end
  redis.call('DEL', root .. 'inbox:' .. job)
  redis.call('ZREM', root .. 'inbox', job)
  local news = cjson.decode(kept)
  notice_apply(root, now, key, {job = job, outputs = news.outputs, asset = news.source_asset_id})
  return redis.call('HGET', root .. 'p:' .. key, 'stage')
end
