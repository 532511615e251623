-- Whose job a job is, for as long as a bill may come: hash `bought:<day>`, job id -> [listing, photo, partner,
-- fingerprint, revision, asset, since (ms)]. About 200 bytes a job.
local BOUGHT_KEPT = 62 * 86400000

local function bought_enter(root, key, job, now)
  local row = redis.call('HMGET', root .. 'p:' .. key, 'listing_id', 'photo_id', 'partner', 'fingerprint', 'revision',
    'source_asset_id')
  local bought = root .. 'bought:' .. string.format('%.0f', math.floor(now / 86400000))
  redis.call('HSETNX', bought, job,
    cjson.encode({row[1], row[2], row[3], row[4], tonumber(row[5]), row[6] or cjson.null, now}))
  redis.call('PEXPIRE', bought, BOUGHT_KEPT)
end
