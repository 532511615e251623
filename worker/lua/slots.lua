-- The cap of jobs in flight that is in force: lowered after a refusal for it, then probed back up one by one, because
-- other people use the same organisation.
local function slots_cap(root, now, cap, probe_ms)
  local lowered = redis.call('HMGET', root .. 'cap', 'limit', 'changed_ms')
  if not lowered[1] then return cap end
  local limit = tonumber(lowered[1])
  if probe_ms and now - tonumber(lowered[2]) >= probe_ms then
    limit = limit + 1
    redis.call('HSET', root .. 'cap', 'limit', limit, 'changed_ms', now)
  end
  if limit >= cap then redis.call('DEL', root .. 'cap') end
  return math.min(cap, limit)
end
