-- Let a stream begin anew with another learner.
--
-- KEYS  head, then the parts of the stream that go
-- ARGV  epoch before; version, epoch, chain, config, fingerprint; checkpoint (as in the head), number of its chunks,
--       prefix of their keys; prefix of chunk keys
-- gives 1, 0 when the stream is of another epoch, or 'lost' when a chunk does not exist

local head = redis.call('HMGET', KEYS[1], 'epoch', 'checkpoints')
if head[1] ~= ARGV[1] then
  return 0
end
for i = 0, tonumber(ARGV[8]) - 1 do
  if redis.call('EXISTS', ARGV[9] .. i) == 0 then
    return 'lost'
  end
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'epoch', ARGV[3], 'chain', ARGV[4], 'config', ARGV[5],
  'fingerprint', ARGV[6], 'checkpoints', ARGV[7])
for i = 0, tonumber(ARGV[8]) - 1 do
  redis.call('PERSIST', ARGV[9] .. i)
end
redis.call('UNLINK', unpack(KEYS, 2))
for name, count in string.gmatch(head[2], '(%S+),(%d+),%d+') do
  for i = 0, tonumber(count) - 1 do
    redis.call('UNLINK', ARGV[10] .. name .. ':' .. i)
  end
end
return 1
