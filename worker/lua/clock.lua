-- Redis's clock in ms since the epoch; a test pushes it by passing a time of its own.
local function clock(pushed)
  if pushed and pushed ~= '' then return tonumber(pushed) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
