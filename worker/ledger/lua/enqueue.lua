-- Accepts the photos of one listing; idempotent: the same listing again changes nothing.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 listing key; 3 listing id; 4 partner; 5 priority; 6 listing metadata (JSON);
--       then four for each photo: key, photo id, order (request and metadata, a line of JSON each), fingerprint
-- RETURNS: for each photo two words: verdict (accepted | same | held | revised | queued_revision), stage
-- include: clock
-- include: place
-- include: paused
-- include: park
-- include: revise
-- include: again
-- include: version
local root, now = KEYS[1], clock(ARGV[1])
local listing_key, partner, priority = ARGV[2], ARGV[4], ARGV[5]
local listing = root .. 'l:' .. listing_key
local UNPAID = {accepted = true, ingesting = true, ingested = true, parked = true}
local pause = listing_pause(root, listing_key)
local answer, fresh = {}, {}

local function enqueue(key, photo_id, order, fingerprint)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'fingerprint', 'token', 'partner', 'priority', 'next_fingerprint',
    'cancel', 'job_id')
  local stage = known[1]
  if not stage then
    redis.call('HSET', row, 'v', ROW, 'listing_id', ARGV[3], 'listing_key', listing_key, 'photo_id', photo_id,
      'partner', partner, 'priority', priority, 'fingerprint', fingerprint, 'revision', 1, 'stage', 'accepted',
      'accepted_ms', now, 'token', '')
    redis.call('SET', root .. 'o:' .. key, order)
    fresh[#fresh + 1] = {key, photo_id}
    return 'accepted', pause and 'parked' or 'accepted'
  end
  redis.call('HSETNX', listing, 'p:' .. key, cjson.encode({photo_id, 'open'}))
  if stage == 'cancelled' and known[2] == fingerprint then
    -- Wanted after all. A job that was paid for and dropped is read again.
    if known[8] then
      redis.call('HSET', row, 'accepted_ms', now)
      redis.call('HDEL', row, 'history')
      read_again(root, key, now, stage, known[5], known[4])
      return 'accepted', 'generating'
    end
    return 'accepted', restart(root, key, now, stage, known[5], known[4], true, {order = order, fingerprint = fingerprint})
  end
  if known[2] == fingerprint then
    if known[6] or known[7] then redis.call('HDEL', row, 'next_order', 'next_fingerprint', 'cancel') end
    return (LISTED[stage] and 'held' or 'same'), stage
  end
  -- An open lease, or a job that is paid for, is never pulled away: the change waits for its end.
  if ENDED[stage] or (UNPAID[stage] and known[3] == '') then
    redis.call('HINCRBY', row, 'revision', 1)
    redis.call('HDEL', row, 'create_try')
    return 'revised', restart(root, key, now, stage, known[5], known[4], ENDED[stage],
      {order = order, fingerprint = fingerprint})
  end
  redis.call('HSET', row, 'next_order', order, 'next_fingerprint', fingerprint)
  return 'queued_revision', stage
end

-- New photos are counted, named in their listing and given their turns together.
local function place_fresh()
  local waiting = backlog_of(root, 'source', priority, partner)
  for from = 1, #fresh, 500 do
    local turns, names = {}, {}
    for i = from, math.min(from + 499, #fresh) do
      local key, photo_id = fresh[i][1], fresh[i][2]
      turns[#turns + 1], turns[#turns + 2] = turn_of(now, i), key
      names[#names + 1], names[#names + 2] = 'p:' .. key, cjson.encode({photo_id, 'open'})
    end
    redis.call('ZADD', waiting, unpack(turns))
    redis.call('HSET', listing, unpack(names))
  end
  redis.call('HINCRBY', listing, 'open', #fresh)
  -- A listing that had ended was to be forgotten; now it waits for an end again.
  redis.call('PERSIST', listing)
  count(root, partner, 'accepted', #fresh)
  ring_join(root, 'source', priority, partner)
  if pause then for _, photo in ipairs(fresh) do park(root, photo[1], now, pause) end end
end

redis.call('HSET', listing, 'id', ARGV[3], 'partner', partner, 'metadata', ARGV[6])
for i = 7, #ARGV, 4 do
  local verdict, stage = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  answer[#answer + 1] = verdict
  answer[#answer + 1] = stage
end
if #fresh > 0 then place_fresh() end
wake(root)
return answer
