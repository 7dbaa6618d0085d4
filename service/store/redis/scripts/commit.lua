-- One commit, all or nothing: Lua has no rollback, so whatever can be refused comes before the first write, and the
-- first write is one that grows: a server without room refuses it, and with it everything.
--
-- KEYS  head, log, outcomes, ids, waiting, deferred
-- ARGV  version, epoch, chain before; version, chain after; segment; outcomes and seconds to keep; number of deferred
--       events that it learns; then their ids; then id, record for each outcome
-- gives 'committed', 'conflict', 'duplicate' or 'waits'

local SPAN = 1000 -- even; unpack() of several thousand values does not fit on Lua's stack

local function spans(first, last, visit)
  for start = first, last, SPAN do
    visit(start, math.min(start + SPAN - 1, last))
  end
end

local settled = tonumber(ARGV[9])
local FIRST = 10 + settled -- where the outcomes begin in ARGV
local FORGET = 100 -- at least so many outcomes may be forgotten with one commit, and twice as many as come

local ids = {}
for i = FIRST, #ARGV, 2 do
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

-- What came later than a deferred event may not be learnt before it.
if settled == 0 and redis.call('EXISTS', KEYS[5]) == 1 then
  return 'waits'
end
if settled > 0 then
  local first = redis.call('LRANGE', KEYS[5], 0, settled - 1)
  for i = 1, settled do
    if first[i] ~= ARGV[9 + i] then
      return 'waits'
    end
  end
end

for i, value in ipairs(redis.call('HMGET', KEYS[1], 'version', 'epoch', 'chain')) do
  if value ~= ARGV[i] then
    return 'conflict'
  end
end

redis.call('XADD', KEYS[2], ARGV[4] .. '-0', 'segment', ARGV[6], 'chain', ARGV[5])
spans(FIRST, #ARGV, function(start, stop)
  redis.call('HSET', KEYS[3], unpack(ARGV, start, stop))
end)
local now = redis.call('TIME')[1]
local dated = {}
for i, id in ipairs(ids) do
  dated[i] = now .. ':' .. id -- not string.format, which ends a text at its first zero byte
end
spans(1, #dated, function(start, stop)
  redis.call('RPUSH', KEYS[4], unpack(dated, start, stop))
end)
redis.call('HSET', KEYS[1], 'version', ARGV[4], 'chain', ARGV[5])

if settled > 0 then
  redis.call('LTRIM', KEYS[5], settled, -1)
  spans(10, 9 + settled, function(start, stop)
    redis.call('HDEL', KEYS[6], unpack(ARGV, start, stop))
  end)
end

-- Outcomes that are too many or too old. What frees memory is never refused, so here it may come last.
local surplus = redis.call('LLEN', KEYS[4]) - tonumber(ARGV[7])
local function expired(entry)
  return tonumber(string.match(entry, '^%d+')) + tonumber(ARGV[8]) <= tonumber(now)
end
local oldest = redis.call('LINDEX', KEYS[4], 0)
if oldest and (surplus > 0 or expired(oldest)) then
  local gone = {}
  for i, entry in ipairs(redis.call('LRANGE', KEYS[4], 0, FORGET + 2 * #ids - 1)) do
    if i > surplus and not expired(entry) then
      break
    end
    gone[i] = string.match(entry, '^%d+:(.*)$')
  end
  redis.call('LTRIM', KEYS[4], #gone, -1)
  spans(1, #gone, function(start, stop)
    redis.call('HDEL', KEYS[3], unpack(gone, start, stop))
  end)
end
return 'committed'
