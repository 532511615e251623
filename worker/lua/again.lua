-- Sends an ended photo on its way again from where its job stands. Needs `revise` and what that needs.

-- Makes another picture of a photo: regeneration `number`, from job `parent`. `ended`: the photo had ended.
-- Returns the stage that the photo is in.
local function remake(root, key, now, was, priority, partner, number, parent, ended)
  local pause = begin_anew(root, key, now, was, 'ingested', priority, partner, ended)
  redis.call('HSET', root .. 'p:' .. key, 'regeneration', number, 'parent_job_id', parent)
  backlog_add(root, 'generation', priority, partner, key)
  -- It needs no source, so it is no part of what is made ready for slots.
  redis.call('ZADD', root .. 'remaking', now, key)
  if pause then park(root, key, now, pause) end
  wake(root)
  return pause and 'parked' or 'ingested'
end

-- Goes on with the job of an ended photo, which is paid for, instead of buying another.
local function read_again(root, key, now, was, priority, partner)
  local row = root .. 'p:' .. key
  unplace(root, key, was, priority, partner)
  redis.call('HDEL', row, 'resume', 'rereads', 'outputs', 'attempt', 'lost', 'error_code', 'error_message')
  redis.call('HSET', row, 'stage', 'generating', 'stage_since_ms', now, 'token', '')
  note_stage(row, 'generating', now)
  redis.call('PERSIST', row)
  redis.call('PERSIST', root .. 'o:' .. key)
  count(root, partner, was, -1)
  count(root, partner, 'generating', 1)
  redis.call('ZADD', root .. 'due:poll_generation', now, key)
  reopen(root, row)
  wake(root)
end
