-- Opens the leases of a batch: who holds a lease's token sees the row, everybody else is told that it is stale; so is
-- whoever got the same message a second time. For reads the grants are taken in the same call. A row of a newer release
-- is left to its workers.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 lease, ms; 3 step; 4 read route or ''; 5 its count; 6 its window with guard, ms;
--       7 a word of the caller's own, the same when it repeats the call; then two for each photo: key, token
-- RETURNS: JSON: now (ms), photos on their way to a slot, slots in use, then for each photo: 0 when stale, 'newer'
--          when a newer release's, else [wait (ms; 0 granted), row (flat pairs), order]; one text is read far quicker
--          than many values
-- include: clock
-- include: budget
-- include: in_force
-- include: version
-- include: back
local root, now = KEYS[1], clock(ARGV[1])
local route = ARGV[4]
local read = in_force(root, {{route, tonumber(ARGV[5]), tonumber(ARGV[6])}})[1]
local waiting = 0
for _, stage in ipairs({'accepted', 'ingesting', 'ingested'}) do
  waiting = waiting + tonumber(redis.call('HGET', root .. 'stages', stage) or '0')
end
local answer = {now, waiting, redis.call('ZCARD', root .. 'slots')}
for i = 8, #ARGV, 2 do
  local key, token = ARGV[i], ARGV[i + 1]
  local row = root .. 'p:' .. key
  local known = redis.call('HMGET', row, 'token', 'opened', 'opener', 'v')
  if known[1] ~= token or (known[2] == token and known[3] and known[3] ~= ARGV[7]) then
    answer[#answer + 1] = 0
  elseif is_newer(known[4]) then
    hand_back(root, key, ARGV[3], now + LEFT_MS)
    answer[#answer + 1] = 'newer'
  else
    redis.call('HSET', row, 'opened', token, 'opener', ARGV[7])
    redis.call('ZADD', root .. 'leases', 'XX', now + ARGV[2], key)
    local wait = 0
    if route ~= '' then
      wait = budget_wait(root, route, read[2], read[3], now, token)
      if wait == 0 then
        budget_take(root, route, read[3], now, token)
        redis.call('ZREM', root .. 'unadmitted:' .. ARGV[3], key)
      end
    end
    answer[#answer + 1] = {wait, redis.call('HGETALL', row), redis.call('GET', root .. 'o:' .. key) or ''}
  end
end
return cjson.encode(answer)
