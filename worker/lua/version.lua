-- The version of the rows that this release writes and understands. A row with a higher one is a newer release's.
local ROW = 1
-- A lease on such a row is put off for so long, ms: a newer worker may be the next to get it.
local LEFT_MS = 2000

local function is_newer(version)
  return (tonumber(version or '1') or ROW + 1) > ROW
end
