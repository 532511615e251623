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
local function backlog_add(root, kind, priority, partner, key, nth)
  local since = tonumber(redis.call('HGET', root .. 'p:' .. key, 'accepted_ms') or '0')
  redis.call('ZADD', root .. 'backlog:' .. kind .. ':' .. priority .. ':' .. partner,
    string.format('%.0f', since * 1000 + math.min(999, nth or 0)), key)
  ring_join(root, kind, priority, partner)
end

-- Takes a photo out of every place where it may wait. A ring that is left without photos is noticed by its next turn.
local function unplace(root, key, stage, priority, partner)
  if STEP_OF[stage] then redis.call('ZREM', root .. 'due:' .. STEP_OF[stage], key) end
  if BACKLOG_OF[stage] then
    redis.call('ZREM', root .. 'backlog:' .. BACKLOG_OF[stage] .. ':' .. priority .. ':' .. partner, key)
  end
  if LISTED[stage] then redis.call('ZREM', root .. 'held:' .. stage, key) end
end
