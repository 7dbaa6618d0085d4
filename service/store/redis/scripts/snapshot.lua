-- Keep the chunks of a learner under a name.
--
-- KEYS  head, snapshots
-- ARGV  epoch, name, entry, how many there may be, number of chunks, prefix of their keys
-- gives 'kept', 'conflict', 'taken', 'full', or 'lost' when a chunk does not exist

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 'conflict'
end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  return 'taken'
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then
  return 'full'
end
for i = 0, tonumber(ARGV[5]) - 1 do
  if redis.call('EXISTS', ARGV[6] .. i) == 0 then
    return 'lost'
  end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for i = 0, tonumber(ARGV[5]) - 1 do
  redis.call('PERSIST', ARGV[6] .. i)
end
return 'kept'
