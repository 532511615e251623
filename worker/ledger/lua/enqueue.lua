-- Accepts the photos of one listing; idempotent: the same listing again changes nothing.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 listing key; 3 listing id; 4 partner; 5 priority; 6 listing metadata (JSON);
--       then four for each photo: key, photo id, order (request and metadata, a line of JSON each), fingerprint
-- RETURNS: for each photo two words: verdict (accepted | same | held | revised | queued_revision), stage
-- include: clock
-- include: place
-- include: revise
local root, now = KEYS[1], clock(ARGV[1])
local listing_key, partner, priority = ARGV[2], ARGV[4], ARGV[5]
local listing = root .. 'l:' .. listing_key
local UNPAID = {accepted = true, ingesting = true, ingested = true, parked = true}
local answer = {}

local function enqueue(key, photo_id, order, fingerprint, nth)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'fingerprint', 'token', 'partner', 'priority', 'next_fingerprint')
  local stage = known[1]
  if not stage then
    redis.call('HSET', row, 'v', 1, 'listing_id', ARGV[3], 'listing_key', listing_key, 'photo_id', photo_id,
      'partner', partner, 'priority', priority, 'fingerprint', fingerprint, 'revision', 1, 'stage', 'accepted', 'stage_since_ms', now, 'accepted_ms', now, 'token', '')
    redis.call('SET', root .. 'o:' .. key, order)
    redis.call('HINCRBY', listing, 'open', 1)
    count(root, partner, 'accepted', 1)
    backlog_add(root, 'source', priority, partner, key, nth)
    return 'accepted', 'accepted'
  end
  if known[2] == fingerprint then
    if known[6] then redis.call('HDEL', row, 'next_order', 'next_fingerprint') end
    return (LISTED[stage] and 'held' or 'same'), stage
  end
  -- An open lease, or a job that is paid for, is never pulled away: the change waits for its end.
  if ENDED[stage] or (UNPAID[stage] and known[3] == '') then
    redis.call('HINCRBY', row, 'revision', 1)
    redis.call('HDEL', row, 'create_try')
    restart(root, key, now, stage, known[5], known[4], ENDED[stage],
      {order = order, fingerprint = fingerprint})
    return 'revised', 'accepted'
  end
  redis.call('HSET', row, 'next_order', order, 'next_fingerprint', fingerprint)
  return 'queued_revision', stage
end

redis.call('HSET', listing, 'id', ARGV[3], 'partner', partner, 'metadata', ARGV[6])
for i = 7, #ARGV, 4 do
  local verdict, stage = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], (i - 7) / 4)
  redis.call('HSETNX', listing, 'p:' .. ARGV[i], cjson.encode({ARGV[i + 1], 'open'}))
  answer[#answer + 1] = verdict
  answer[#answer + 1] = stage
end
wake(root)
return answer
