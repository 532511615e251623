-- Asks for another picture of staged photos. While one is being made, asking again changes nothing.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; then three for each photo: key, the number of the regeneration that is meant, the row to
--       begin with when the ledger has none (JSON, from the manifest) or ''
-- RETURNS: for each photo three words: verdict (asked | on_its_way | there | not_staged | unknown), stage or '', number
-- include: clock
-- include: place
-- include: paused
-- include: park
-- include: revise
-- include: again
local root, now, answer = KEYS[1], clock(ARGV[1]), {}

-- A staged photo whose row has expired is in the ledger again, as it ended.
local function restore(key, row, kept)
  redis.call('SET', root .. 'o:' .. key, kept.order)
  kept.order = nil
  redis.call('HSET', row, 'v', 1, 'priority', 0, 'stage', 'done', 'stage_since_ms', now, 'accepted_ms', now, 'token', '')
  for name, value in pairs(kept) do redis.call('HSET', row, name, value) end
  local listing = root .. 'l:' .. kept.listing_key
  redis.call('HSETNX', listing, 'id', kept.listing_id)
  redis.call('HSETNX', listing, 'partner', kept.partner)
  redis.call('HSETNX', listing, 'metadata', '{}')
  redis.call('HSETNX', listing, 'p:' .. key, cjson.encode({kept.photo_id, 'open'}))
  count(root, kept.partner, 'done', 1)
end

local function regenerate(key, meant, kept)
  local row = root .. 'p:' .. key
  if kept ~= '' and redis.call('EXISTS', row) == 0 then
    local last = cjson.decode(kept)
    -- A row that nothing is made of would have no end, and no lifetime.
    if meant <= tonumber(last.regeneration) then return 'there', 'done', tonumber(last.regeneration) end
    restore(key, row, last)
  end
  local known = redis.call('HMGET', row, 'stage', 'priority', 'partner', 'regeneration', 'parent_job_id', 'job_id')
  local stage, number, parent = known[1], tonumber(known[4] or '0'), known[5]
  if not stage then return 'unknown', '', 0 end
  if not ENDED[stage] then return parent and 'on_its_way' or 'not_staged', stage, number end
  -- The picture that there is: this one's, or the one before when this could not be made.
  if stage == 'done' then parent = known[6] end
  if not parent then return 'not_staged', stage, number end
  if meant <= number then return 'there', stage, number end
  redis.call('HINCRBY', row, 'revision', 1)
  redis.call('HDEL', row, 'create_try')
  return 'asked', remake(root, key, now, stage, known[2], known[3], number + 1, parent, true), number + 1
end

for i = 2, #ARGV, 3 do
  for _, word in ipairs({regenerate(ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2])}) do answer[#answer + 1] = word end
end
return answer
