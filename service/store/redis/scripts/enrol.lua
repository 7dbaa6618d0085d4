-- Put a name into the set of streams, unless that would make more than the limit.
--
-- KEYS  names
-- ARGV  name, limit
-- gives 1, or 0 when the limit is reached

if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 and redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('SADD', KEYS[1], ARGV[1])
return 1
