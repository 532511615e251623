-- Starts a photo's way anew at `accepted`: another revision, or a replay under a new key.
-- Needs `place`, `paused` and `park`: what somebody has paused is parked at once.
local WORKING = {'ingest_id', 'source_asset_id', 'source_sha256', 'job_id', 'idempotency_key', 'body', 'sent_ms',
  'created_ms', 'read_ms', 'receipt_written', 'outputs', 'rereads', 'error_code', 'error_message', 'attempt', 'polls',
  'lost', 'next_order', 'next_fingerprint', 'ingest_try', 'restored', 'resume', 'regeneration', 'parent_job_id',
  'cancel', 'pause', 'parked_for', 'spent_day', 'history'}

local function reopen(root, row)
  local listing = root .. 'l:' .. redis.call('HGET', row, 'listing_key')
  redis.call('HINCRBY', listing, 'open', 1)
  redis.call('PERSIST', listing)
end

-- The changed order that waits in a row, with its fingerprint; nil when none waits.
local function next_revision(row)
  local changed = redis.call('HMGET', row, 'next_order', 'next_fingerprint')
  if not changed[1] then return nil end
  redis.call('HINCRBY', row, 'revision', 1)
  redis.call('HDEL', row, 'create_try')
  return {order = changed[1], fingerprint = changed[2]}
end

-- Puts a row to a stage with nothing left of its way so far but the jobs that were paid for.
-- Returns the pause that it is under (JSON), or nil.
local function begin_anew(root, key, now, was, stage, priority, partner, ended)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'job_id', 'jobs', 'pause', 'parked_for', 'listing_key')
  local pause = known[3] or listing_pause(root, known[5])
  if not pause and known[4] and cjson.decode(known[4]).why == 'paused' then pause = known[4] end
  unplace(root, key, was, priority, partner)
  -- What an uncertain create may have made is no longer this photo's.
  local made = redis.call('HMGET', row, 'idempotency_key', 'job_id')
  redis.call('HDEL', root .. 'jobs', 'r:' .. (made[1] or ''), 'j:' .. (made[2] or ''))
  redis.call('HDEL', row, unpack(WORKING))
  redis.call('HSET', row, 'stage', stage, 'stage_since_ms', now, 'accepted_ms', now, 'token', '')
  if known[1] then redis.call('HSET', row, 'jobs', (known[2] and known[2] .. '\n' or '') .. known[1]) end
  redis.call('PERSIST', row)
  redis.call('PERSIST', root .. 'o:' .. key)
  count(root, partner, was, -1)
  count(root, partner, stage, 1)
  if ended then reopen(root, row) end
  return pause
end

-- Starts at `accepted`. `ended`: the photo had ended and counts as open for its listing again; `changed`: the order and
-- fingerprint of another revision, or nil for the same one. Returns the stage that the photo is in.
local function restart(root, key, now, was, priority, partner, ended, changed)
  local pause = begin_anew(root, key, now, was, 'accepted', priority, partner, ended)
  if changed then
    redis.call('HSET', root .. 'p:' .. key, 'fingerprint', changed.fingerprint)
    redis.call('SET', root .. 'o:' .. key, changed.order)
  end
  backlog_add(root, 'source', priority, partner, key)
  if pause then park(root, key, now, pause) end
  wake(root)
  return pause and 'parked' or 'accepted'
end
