"""A client of Redis for each arrangement of servers, bounded in time and in the number of commands under way.

redis-py's own retries are off everywhere: a commit that is sent twice conflicts with itself, so only the caller may
repeat a commit, with the same ids.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from ...observability import tracing
from .address import RedisAddress
from .errors import translated

SENTINEL_SHARE = 0.25
"""The share of a command's time that one Sentinel may take to answer. After that the next Sentinel is asked."""


def key(stream: str, part: str) -> str:
    """The key of a part of a stream. The hash tag in braces keeps all parts of a stream on one shard."""
    return f"nbt:{{{stream}}}:{part}"


def _connection(timeout: float) -> dict[str, Any]:
    """The options of every connection, whatever the URL says."""
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,  # a chain is 32 bytes of anything
        "driver_info": None,  # saves two commands of every new connection
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


@dataclass(frozen=True, slots=True)
class Script:
    """A script that the server runs and knows by its hash."""

    name: str
    text: str
    sha: str

    @classmethod
    def load(cls, name: str) -> Self:
        """Read `scripts/<name>.lua` beside this file."""
        text = (Path(__file__).parent / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class BoundedClient:
    """A client that runs at most `max_commands` commands at once. Further commands wait, within their own time.

    A pool of redis-py refuses a command for which it has no connection; only the pool of a single server can wait
    instead. Here a command waits in the same way for every arrangement of servers.
    """

    def __init__(self, address: RedisAddress, timeout: float, max_commands: int) -> None:
        self._timeout = timeout
        self._options = {**address.options, **_connection(timeout), "max_connections": max_commands}
        self._slots = asyncio.Semaphore(max_commands)
        self._sentinel: Any = None
        self._cluster: RedisCluster | None = None
        self._nodes: dict[str, Redis] = {}
        if address.kind == "one":
            self.redis = Redis.from_pool(ConnectionPool(**self._options))
        elif address.kind == "sentinel":
            asking = {**address.sentinel_options, **_connection(timeout * SENTINEL_SHARE)}
            self._sentinel = Sentinel(address.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
            self.redis = self._sentinel.master_for(address.primary, **self._options)
        else:
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            # A shard that is away makes its own streams unavailable, and no others.
            self._cluster = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **self._options)
            # The commands have the same names, and go where their keys live.
            self.redis = cast("Redis", self._cluster)

    async def reply(self, command: Awaitable[Any]) -> Any:
        """The reply to a command, once a slot is free. The client is awaited nowhere else.

        Raises NoScriptError as it is, and every other error as a ServiceError.
        """
        try:
            async with asyncio.timeout(self._timeout), self._slots:
                return await command
        except NoScriptError:
            raise
        except (RedisError, RedisClusterException, OSError) as error:
            raise translated(error, self._timeout) from error
        finally:
            if asyncio.iscoroutine(command):
                command.close()  # does nothing, unless no slot came free in time

    async def run(self, script: Script, keys: list[str], *arguments: bytes | str | int) -> Any:
        """Run a script, in one round trip, or in two when a server (new, restarted, failed over) does not know it."""
        with tracing.script(script.name):
            try:
                return await self.reply(self.redis.evalsha(script.sha, len(keys), *keys, *arguments))
            except NoScriptError:  # so nothing ran
                return await self.reply(self.redis.eval(script.text, len(keys), *keys, *arguments))

    def client_of(self, key: str) -> Redis:
        """A client of the one server that has `key`, for commands that must go over one connection.

        The client follows a primary that moves. When a slot has moved, the client raises MovedError until a command
        through `redis` has learnt the new place.
        """
        node = None if self._cluster is None else self._cluster.get_node_from_key(key)
        if node is None:
            return self.redis
        if node.name not in self._nodes:
            self._nodes[node.name] = Redis(host=node.host, port=int(node.port), **self._options)
        return self._nodes[node.name]

    async def close(self) -> None:
        """Close every connection."""
        for client in (self.redis, *self._nodes.values()):
            await client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()
