-- Make a head at the version where its log begins, unless there is one.
--
-- KEYS  head
-- ARGV  version, epoch, chain, config, fingerprint, checkpoint (as in the head, or ''), number of its chunks, prefix of
--       their keys
-- gives whether it was made (1 or 0), then the head's fields in the order of FIELDS in store.py; 'lost' alone when a
-- chunk does not exist

local made = 1 - redis.call('EXISTS', KEYS[1])
if made == 1 then
  for i = 0, tonumber(ARGV[7]) - 1 do
    if redis.call('EXISTS', ARGV[8] .. i) == 0 then
      return { 'lost' }
    end
  end
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'epoch', ARGV[2], 'chain', ARGV[3], 'config', ARGV[4],
    'fingerprint', ARGV[5], 'checkpoints', ARGV[6])
  for i = 0, tonumber(ARGV[7]) - 1 do
    redis.call('PERSIST', ARGV[8] .. i)
  end
end
return { made, unpack(redis.call('HMGET', KEYS[1], 'version', 'epoch', 'chain', 'config', 'fingerprint',
  'checkpoints')) }
