-- Where photos wait: due sets by time, backlogs by priority and partner, rings of turns; and the counters of `status`.
local STEP_OF = {accepted = 'ingest_source', ingesting = 'poll_ingest', ingested = 'create_generation',
  creating = 'create_generation', generating = 'poll_generation', storing = 'store_outputs', announcing = 'announce'}
local BACKLOG_OF = {accepted = 'source', ingested = 'generation'}
local ENDED = {done = true, failed = true, cancelled = true}
local LISTED = {failed = true, parked = true, uncertain = true}

local function wake(root)
  if redis.call('LLEN', root .. 'wake') == 0 then redis.call('RPUSH', root .. 'wake', '1') end
end

local function count(root, partner, stage, by)
  redis.call('HINCRBY', root .. 'stages', stage, by)
  redis.call('HINCRBY', root .. 'partners', cjson.encode({partner, stage}), by)
end

-- Start-time fair queueing over partners: one that has photos waiting stands in the ring of its priority by the tag of
-- its next turn, never behind the turn that is being served. Ten photos of one partner so pass between the hundred
-- thousand of another, and a turn costs O(log partners) whatever waits.
local function ring_join(root, kind, priority, partner)
  local turns, mine = root .. 'turns:' .. kind, 't:' .. priority .. ':' .. partner
  local known = redis.call('HMGET', turns, 'v:' .. priority, mine)
  local tag = math.max(tonumber(known[1] or '0'), tonumber(known[2] or '0'))
  if redis.call('ZADD', root .. 'ring:' .. kind .. ':' .. priority, 'NX', string.format('%.6f', tag), partner) == 1
    and known[2] then redis.call('HDEL', turns, mine) end
end

-- A partner's photos go in the order in which they were accepted; `nth` orders those of one moment.
local function turn_of(accepted_ms, nth)
  return string.format('%.0f', accepted_ms * 1000 + math.min(999, nth or 0))
end

local function backlog_of(root, kind, priority, partner)
  return root .. 'backlog:' .. kind .. ':' .. priority .. ':' .. partner
end

local function backlog_add(root, kind, priority, partner, key)
  local since = tonumber(redis.call('HGET', root .. 'p:' .. key, 'accepted_ms') or '0')
  redis.call('ZADD', backlog_of(root, kind, priority, partner), turn_of(since), key)
  ring_join(root, kind, priority, partner)
end

-- Takes a photo out of every place where it may wait. A ring that is left without photos is noticed by its next turn.
local function unplace(root, key, stage, priority, partner)
  if STEP_OF[stage] then redis.call('ZREM', root .. 'due:' .. STEP_OF[stage], key) end
  if BACKLOG_OF[stage] then
    redis.call('ZREM', backlog_of(root, BACKLOG_OF[stage], priority, partner), key)
  end
  if LISTED[stage] then redis.call('ZREM', root .. 'held:' .. stage, key) end
  if stage == 'ingested' then redis.call('ZREM', root .. 'remaking', key) end
end

-- Notes when a row came to a stage, in a few bytes that a waiting photo does not have: for each stage that it moved on
-- to a letter and the tenths of a second since it was accepted, as in `i12r40c45g60`. Read by worker/ledger/reading.py.
-- The time of the present stage is in the row anyway, so that of the end is not noted. A value of more than 64 bytes
-- would triple the row's memory: what comes after that is not noted either.
local LETTER = {accepted = 'a', ingesting = 'i', ingested = 'r', creating = 'c', generating = 'g', storing = 's',
  announcing = 'n', parked = 'p', uncertain = 'u'}

local function note_stage(row, stage, now)
  if not LETTER[stage] then return end
  local known = redis.call('HMGET', row, 'history', 'accepted_ms')
  local history = (known[1] or '') .. LETTER[stage] .. string.format('%.0f', math.floor((now - known[2]) / 100))
  if #history <= 64 then redis.call('HSET', row, 'history', history) end
end
