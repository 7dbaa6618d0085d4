-- Let the head point to a checkpoint whose chunks are written, keep the one before it, drop what came earlier.
-- The names of dropped chunks come from the head; they carry the stream's hash tag, so they are on this shard.
--
-- KEYS  head, log
-- ARGV  epoch, version, chain, name (<version>:<write>), number of chunks, bytes, prefix of chunk keys, whether the
--       whole log is kept (1 or 0)
-- gives 1, or 0 when the stream does not want this checkpoint

local function chunks(name, count, visit)
  for i = 0, tonumber(count) - 1 do
    visit(ARGV[7] .. name .. ':' .. i)
  end
end

local head = redis.call('HMGET', KEYS[1], 'epoch', 'checkpoints')
if head[1] ~= ARGV[1] then
  return 0
end
local kept = {}
for name, count, size in string.gmatch(head[2], '(%S+),(%d+),(%d+)') do
  kept[#kept + 1] = { name = name, count = count, text = name .. ',' .. count .. ',' .. size }
end
if kept[1] and tonumber(string.match(kept[1].name, '^%d+')) >= tonumber(ARGV[2]) then
  return 0
end

-- A learner of a history that was lost in a failover may be at a version that the stream has reached again with
-- other events: it must have passed through the very chain that the log shows.
local entry = redis.call('XRANGE', KEYS[2], ARGV[2] .. '-0', ARGV[2] .. '-0')[1]
if not entry or entry[2][4] ~= ARGV[3] then
  return 0
end

local complete = true
chunks(ARGV[4], ARGV[5], function(key)
  complete = complete and redis.call('EXISTS', key) == 1
end)
if not complete then
  return 0
end

local text = ARGV[4] .. ',' .. ARGV[5] .. ',' .. ARGV[6]
redis.call('HSET', KEYS[1], 'checkpoints', kept[1] and text .. ' ' .. kept[1].text or text)
chunks(ARGV[4], ARGV[5], function(key)
  redis.call('PERSIST', key)
end)
if kept[1] and ARGV[8] == '0' then
  -- Entries up to <version>-0 go. Not '<version + 1>-0': a number of Lua loses digits when it becomes text.
  redis.call('XTRIM', KEYS[2], 'MINID', string.match(kept[1].name, '^%d+') .. '-1')
end
if kept[2] then
  chunks(kept[2].name, kept[2].count, function(key)
    redis.call('UNLINK', key)
  end)
end
return 1
