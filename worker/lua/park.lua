-- Parks photos that are before their create, and puts them back. Needs `place`.

-- Takes a photo from wherever it waits and from whoever works on it: with its token its holder's lease is stale.
local function lift(root, key, stage, priority, partner)
  local row = root .. 'p:' .. key
  unplace(root, key, stage, priority, partner)
  redis.call('HSET', row, 'token', '')
  redis.call('HDEL', row, 'opened', 'opener')
  redis.call('ZREM', root .. 'leases', key)
  if STEP_OF[stage] then redis.call('ZREM', root .. 'unadmitted:' .. STEP_OF[stage], key) end
end

-- `note`: JSON of `why` (one word: who may put it back), `note` (the reason for people) and `by`. The row keeps it in
-- `parked_for`, with the stage that it came from (`from`).
local function park(root, key, now, note)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'priority', 'partner')
  local held = cjson.decode(note)
  held.from, held.since_ms = known[1], now
  lift(root, key, known[1], known[2], known[3])
  local shown = held.by ~= '' and 'by ' .. held.by .. (held.note ~= '' and ': ' or '') or ''
  redis.call('HSET', row, 'stage', 'parked', 'stage_since_ms', now, 'parked_for', cjson.encode(held),
    'error_code', held.why, 'error_message', shown .. held.note)
  note_stage(row, 'parked', now)
  redis.call('HDEL', row, 'pause', 'attempt', 'polls')
  count(root, known[3], known[1], -1)
  count(root, known[3], 'parked', 1)
  redis.call('ZADD', root .. 'held:parked', now, key)
end

-- Why a photo is parked, as `park` was told (a table), or nil.
local function parked_for(root, key)
  local text = redis.call('HGET', root .. 'p:' .. key, 'parked_for')
  return text and cjson.decode(text) or nil
end

-- Puts a photo that is parked for `why` back where it was; returns that stage, or nil when it is parked otherwise.
local function unpark(root, key, now, why)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'priority', 'partner')
  local held = parked_for(root, key)
  if known[1] ~= 'parked' or not held or held.why ~= why then return nil end
  unplace(root, key, 'parked', known[2], known[3])
  redis.call('HSET', row, 'stage', held.from, 'stage_since_ms', now)
  note_stage(row, held.from, now)
  redis.call('HDEL', row, 'parked_for', 'error_code', 'error_message')
  count(root, known[3], 'parked', -1)
  count(root, known[3], held.from, 1)
  if BACKLOG_OF[held.from] then
    backlog_add(root, BACKLOG_OF[held.from], known[2], known[3], key)
    if redis.call('HEXISTS', row, 'parent_job_id') == 1 then redis.call('ZADD', root .. 'remaking', now, key) end
  else
    redis.call('ZADD', root .. 'due:' .. STEP_OF[held.from], now, key)
  end
  wake(root)
  return held.from
end
