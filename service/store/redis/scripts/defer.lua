-- Let events wait for their labels, all or nothing.
--
-- KEYS  head, outcomes, waiting, deferred
-- ARGV  epoch, how many may wait; then id, record for each
-- gives 'deferred', 'conflict', 'duplicate' or 'full'

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 'conflict'
end
local count = (#ARGV - 2) / 2
for i = 3, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 or redis.call('HEXISTS', KEYS[4], ARGV[i]) == 1 then
    return 'duplicate'
  end
end
if redis.call('LLEN', KEYS[3]) + count > tonumber(ARGV[2]) then
  return 'full'
end
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  redis.call('RPUSH', KEYS[3], ARGV[i])
end
return 'deferred'
