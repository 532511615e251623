-- When a row came to its stages, in a few bytes that a waiting photo does not have: for each stage that it moved on to a
-- letter and the tenths of a second since it was accepted, as in `i12r40c45g60`. Read by worker/ledger/reading.py.
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
