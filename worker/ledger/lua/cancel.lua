-- Cancels photos. Before its create a photo is withdrawn, whoever works on it; afterwards its result is kept or dropped.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 'keep' or 'drop': what becomes of a result that is paid for; 3 where messages go
--       (JSON, see emit.lua); 4 retention of ended rows, ms; then three for each photo: key, when its order was accepted
--       (ms) or '', what to announce (JSON: event, announce) or ''
-- RETURNS: for each photo two words: verdict (withdrawn | kept | dropped | uncertain | ended | unknown), stage or '';
--       'changed': its order is another one by now, look again
-- include: clock
-- include: place
-- include: emit
-- include: ended
-- include: park
local root, now, answer, to = KEYS[1], clock(ARGV[1]), {}, cjson.decode(ARGV[3])
local UNPAID = {accepted = true, ingesting = true, ingested = true, parked = true}

local function cancel(key, accepted, ending)
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'stage', 'priority', 'partner', 'accepted_ms', 'token', 'opened')
  local stage = known[1]
  if not stage then return 'unknown', '' end
  if ENDED[stage] then return 'ended', stage end
  if stage == 'uncertain' then return 'uncertain', stage end
  if not UNPAID[stage] then
    -- What is being stored this moment, or has been, can't be dropped any more.
    local stored = stage == 'announcing' or (stage == 'storing' and known[5] ~= '' and known[5] == known[6])
    local what = stored and 'keep' or ARGV[2]
    redis.call('HSET', row, 'cancel', what)
    redis.call('HDEL', row, 'next_order', 'next_fingerprint')
    return what == 'keep' and 'kept' or 'dropped', stage
  end
  if known[4] ~= accepted then return 'changed', stage end
  lift(root, key, stage, known[2], known[3])
  redis.call('HSET', row, 'stage', 'cancelled', 'stage_since_ms', now)
  redis.call('HDEL', row, 'next_order', 'next_fingerprint', 'attempt', 'polls', 'lost', 'parked_for', 'error_code',
    'error_message', 'ingest_id', 'source_asset_id', 'source_sha256')
  count(root, known[3], stage, -1)
  count(root, known[3], 'cancelled', 1)
  local told = cjson.decode(ending)
  emit(root, to, redis.call('HGET', row, 'listing_key'), told.event, now)
  listing_ended(root, row, key, 'cancelled', now, told.announce, to, ARGV[4])
  return 'withdrawn', 'cancelled'
end

for i = 5, #ARGV, 3 do
  local verdict, stage = cancel(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  answer[#answer + 1] = verdict
  answer[#answer + 1] = stage
end
wake(root)
return answer
