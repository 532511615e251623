-- The limits in force: what the settings say, corrected by what the API reports and by what was learnt from refusals.
-- The hash `limits` holds a JSON array for each that differs: count, window with guard (ms), word (reported | grown).

-- Corrects budgets ([route, count, window, ...]) in place.
local function in_force(root, budgets)
  for _, budget in ipairs(budgets) do
    local found = redis.call('HGET', root .. 'limits', budget[1])
    if found then
      local limit = cjson.decode(found)
      if budget[4] and budget[4] > 0 then budget[4] = budget[4] * budget[2] / limit[1] * limit[2] / budget[3] end
      budget[2], budget[3] = limit[1], limit[2]
    end
  end
  return budgets
end

-- The cap of jobs in flight that was agreed upon, before any lowering.
local function cap_in_force(root, cap)
  local found = redis.call('HGET', root .. 'limits', 'in_flight')
  return found and cjson.decode(found)[1] or cap
end
