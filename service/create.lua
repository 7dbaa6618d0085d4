-- Make a head at version 0 unless there is one.
--
-- KEYS  head
-- ARGV  epoch, chain, config, fingerprint
-- gives whether it was made (1 or 0), then the head's fields in the order of FIELDS in redis_store.py

local made = 1 - redis.call('EXISTS', KEYS[1])
if made == 1 then
  redis.call('HSET', KEYS[1], 'version', '0', 'epoch', ARGV[1], 'chain', ARGV[2], 'config', ARGV[3],
    'fingerprint', ARGV[4], 'checkpoints', '')
end
return { made, unpack(redis.call('HMGET', KEYS[1], 'version', 'epoch', 'chain', 'config', 'fingerprint',
  'checkpoints')) }
