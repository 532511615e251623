-- Where photos wait: due sets by time, backlogs by priority and fair turns; and the counters of `status`.
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

-- A photo's turn: start-time fair queueing. Each partner's photos get tags one apart, never behind the turn that is
-- being served, so that ten photos of one partner pass between the hundred thousand of another. O(log n).
local function backlog_add(root, kind, priority, partner, key)
  local turns, mine = root .. 'turns:' .. kind, 't:' .. priority .. ':' .. partner
  local served = tonumber(redis.call('HGET', turns, 'v:' .. priority) or '0')
  local tag = math.max(served, tonumber(redis.call('HGET', turns, mine) or '0')) + 1
  redis.call('HSET', turns, mine, string.format('%.0f', tag))
  redis.call('ZADD', root .. 'backlog:' .. kind .. ':' .. priority, tag, key)
end

-- Takes a photo out of every place where it may wait.
local function unplace(root, key, stage, priority)
  if STEP_OF[stage] then redis.call('ZREM', root .. 'due:' .. STEP_OF[stage], key) end
  if BACKLOG_OF[stage] then redis.call('ZREM', root .. 'backlog:' .. BACKLOG_OF[stage] .. ':' .. priority, key) end
  if LISTED[stage] then redis.call('ZREM', root .. 'held:' .. stage, key) end
end
