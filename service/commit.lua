-- One commit, all or nothing: Lua has no rollback, so whatever can be refused comes before the first write, and the
-- first write is one that grows: a server without room refuses it, and with it everything.
--
-- KEYS  head, log, outcomes, ids
-- ARGV  version, epoch, chain before; version, chain after; segment; then id, record for each outcome
-- gives 'committed', 'conflict' or 'duplicate'

local SPAN = 1000 -- even; unpack() of several thousand values does not fit on Lua's stack

local function spans(first, last, visit)
  for start = first, last, SPAN do
    visit(start, math.min(start + SPAN - 1, last))
  end
end

local ids = {}
for i = 7, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end

-- Before the version: who repeats a commit whose answer was lost must learn that it happened, not that it conflicts
-- with itself.
local known = false
spans(1, #ids, function(start, stop)
  for _, record in ipairs(redis.call('HMGET', KEYS[3], unpack(ids, start, stop))) do
    known = known or record
  end
end)
if known then
  return 'duplicate'
end

for i, value in ipairs(redis.call('HMGET', KEYS[1], 'version', 'epoch', 'chain')) do
  if value ~= ARGV[i] then
    return 'conflict'
  end
end

redis.call('XADD', KEYS[2], ARGV[4] .. '-0', 'segment', ARGV[6], 'chain', ARGV[5])
spans(7, #ARGV, function(start, stop)
  redis.call('HSET', KEYS[3], unpack(ARGV, start, stop))
end)
spans(1, #ids, function(start, stop)
  redis.call('RPUSH', KEYS[4], unpack(ids, start, stop))
end)
redis.call('HSET', KEYS[1], 'version', ARGV[4], 'chain', ARGV[5])
return 'committed'
