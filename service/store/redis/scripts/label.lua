-- Put another record in the place of a deferred event's.
--
-- KEYS  deferred
-- ARGV  id, record before, record after
-- gives 1, or 0 where that was not its record

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
