"""What a failure of the client or the server of Redis means to the service."""

import re

from redis.exceptions import AuthenticationError, ClusterError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ...errors import Internal, ServiceError, StoreFull, Unavailable

_NOT_NOW = re.compile(r"\b(BUSY|LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|MOVED|ASK)\b")


def translated(error: Exception, timeout: float) -> ServiceError:
    """The error for our caller; never with what was sent or where to. `timeout` is what a command may take."""
    if isinstance(error.__cause__, RedisError):
        error = error.__cause__  # a new connection on a unix socket hides it in a ConnectionError
    said = f"{error.status_code} {error}" if isinstance(error, RedisError) else str(error)
    if re.search(r"\bOOM\b", said):
        return StoreFull("The store has no room left: delete streams or give it more memory.", retry_after=10)
    if isinstance(error, (TimeoutError, RedisTimeoutError)):
        detail = f"The store did not answer within {timeout:g} s; what it did is unknown. Repeat with the same ids."
        return Unavailable(detail, retry_after=1)
    if isinstance(error, AuthenticationError):
        return Unavailable("The store does not accept the user name or password in REDIS_URL.", retry_after=1)
    if refusal := _NOT_NOW.search(said):
        return Unavailable(f"The store refuses for now ({refusal[0]}). Repeat with the same ids.", retry_after=1)
    if isinstance(error, (RedisConnectionError, RedisClusterException, ClusterError, OSError)):
        return Unavailable("The store cannot be reached. Repeat with the same ids.", retry_after=1)
    return Internal("The store refused a command: check its version and what its user may do.")
