-- Forget the oldest outcomes until ARGV[1] are left. Only commands that a full server still allows.
--
-- KEYS  outcomes, ids
-- ARGV  how many to keep

local SPAN = 1000 -- unpack() of several thousand values does not fit on Lua's stack

local surplus = redis.call('LLEN', KEYS[2]) - tonumber(ARGV[1])
while surplus > 0 do
  local ids = redis.call('LPOP', KEYS[2], math.min(surplus, SPAN))
  redis.call('HDEL', KEYS[1], unpack(ids))
  surplus = surplus - #ids
end
