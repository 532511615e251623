-- Starts a photo's way anew at `accepted`: another revision, or a replay under a new key.
-- `ended`: the photo had ended and counts as open for its listing again.
local WORKING = {'ingest_id', 'source_asset_id', 'source_sha256', 'job_id', 'idempotency_key', 'body', 'sent_ms',
  'created_ms', 'read_ms', 'receipt_written', 'outputs', 'rereads', 'error_code', 'error_message', 'attempt', 'polls', 'lost',
  'next_order', 'next_fingerprint', 'ingest_try', 'restored', 'resume', 'history'}

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

-- `changed`: the order and fingerprint of another revision, or nil for the same one.
local function restart(root, key, now, was, priority, partner, ended, changed)
  local row = root .. 'p:' .. key
  unplace(root, key, was, priority, partner)
  -- What an uncertain create may have made is no longer this photo's.
  local made = redis.call('HMGET', row, 'idempotency_key', 'job_id')
  redis.call('HDEL', root .. 'jobs', 'r:' .. (made[1] or ''), 'j:' .. (made[2] or ''))
  redis.call('HDEL', row, unpack(WORKING))
  redis.call('HSET', row, 'stage', 'accepted', 'stage_since_ms', now, 'accepted_ms', now, 'token', '')
  if changed then
    redis.call('HSET', row, 'fingerprint', changed.fingerprint)
    redis.call('SET', root .. 'o:' .. key, changed.order)
  end
  redis.call('PERSIST', row)
  redis.call('PERSIST', root .. 'o:' .. key)
  count(root, partner, was, -1)
  count(root, partner, 'accepted', 1)
  backlog_add(root, 'source', priority, partner, key)
  if ended then reopen(root, row) end
  wake(root)
end
