-- Remove everything of a stream. The names of the chunks come from the head; they carry the stream's hash tag.
--
-- KEYS  head, then all others of the stream, snapshots last
-- ARGV  prefix of chunk keys
-- gives 1, or 0 when there was no stream

local checkpoints = redis.call('HGET', KEYS[1], 'checkpoints')
if not checkpoints then
  return 0
end
for name, count in string.gmatch(checkpoints, '(%S+),(%d+),%d+') do
  for i = 0, tonumber(count) - 1 do
    redis.call('UNLINK', ARGV[1] .. name .. ':' .. i)
  end
end
for _, entry in ipairs(redis.call('HVALS', KEYS[#KEYS])) do
  for name, count in string.gmatch(entry, '(%S+),(%d+),%d+') do
    for i = 0, tonumber(count) - 1 do
      redis.call('UNLINK', ARGV[1] .. name .. ':' .. i)
    end
  end
end
redis.call('UNLINK', unpack(KEYS))
return 1
