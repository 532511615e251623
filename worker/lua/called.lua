-- A call is over, so it came in by now: its grant counts from here on as if it had been given so much earlier that the
-- guard, which the window holds for calls still on their way, is not lost. Budgets are then full but for the calls' own
-- time, however large the guard.
local ROUTES_OF = {ingest_source = {'source_assets', 'source_fetches'}, poll_ingest = {'ingest_reads'},
  create_generation = {'generations', 'regenerate'}, poll_generation = {'generation_reads'}}
local function call_is_over(root, step, token, now, guard)
  for _, route in ipairs(ROUTES_OF[step] or {}) do
    redis.call('ZADD', root .. 'grants:' .. route, 'XX', 'LT', now - guard, token)
  end
end
