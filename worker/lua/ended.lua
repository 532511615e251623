-- A photo of a listing has ended; when it was the last open one, the listing is announced, in the same script.
-- A picture that is not the first of its request says which regeneration it is, so that its listing's news is other news.
-- `announce` is the listing's CloudEvent up to the place where its photos follow; see worker/core/events.py. Needs `emit`.
local function listing_ended(root, row, key, stage, now, announce, to, retention)
  local names = redis.call('HMGET', row, 'listing_key', 'photo_id', 'fingerprint', 'regeneration')
  local listing = root .. 'l:' .. names[1]
  redis.call('HSET', listing, 'p:' .. key, cjson.encode({names[2], stage, names[3], tonumber(names[4] or nil)}))
  redis.call('HDEL', row, 'cancel', 'pause')
  -- A hash that once held a long value stays large; written anew, an ended row is small again.
  local kept = redis.call('HGETALL', row)
  redis.call('DEL', row)
  redis.call('HSET', row, unpack(kept))
  redis.call('PEXPIRE', row, retention)
  redis.call('PEXPIRE', root .. 'o:' .. key, retention)
  redis.call('ZREMRANGEBYSCORE', root .. 'held:failed', '-inf', now - retention)
  if redis.call('HINCRBY', listing, 'open', -1) > 0 then return end
  redis.call('PEXPIRE', listing, retention)
  local all, photos, outcomes, tally = redis.call('HGETALL', listing), {}, {}, {done = 0, failed = 0, cancelled = 0}
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 'p:' then outcomes[#outcomes + 1] = all[i + 1] end
  end
  table.sort(outcomes)
  for _, text in ipairs(outcomes) do
    local outcome = cjson.decode(text)
    if tally[outcome[2]] then tally[outcome[2]] = tally[outcome[2]] + 1 end
    photos[#photos + 1] = '{"photo_id":' .. cjson.encode(outcome[1]) .. ',"stage":' .. cjson.encode(outcome[2])
      .. ',"fingerprint":' .. cjson.encode(outcome[3] or cjson.null) .. ',"regeneration":' .. (outcome[4] or 0) .. '}'
  end
  local id = redis.sha1hex(announce.seed .. table.concat(outcomes, '\n'))
  local event = announce.head .. '"metadata":' .. (redis.call('HGET', listing, 'metadata') or '{}') .. ',"photos":[' .. table.concat(photos, ',') .. '],"staged":' .. tally.done
    .. ',"failed":' .. tally.failed .. ',"cancelled":' .. tally.cancelled .. '},"id":"' .. id .. '"}'
  emit(root, to, names[1], event, now)
end
