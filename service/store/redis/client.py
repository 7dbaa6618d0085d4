"""A client of Redis for each arrangement of servers that a URL can name, bounded in time and in commands under way.

    redis://[user:password@]host:port/db     one server; rediss:// with TLS, unix:///path.sock on a socket
    redis+sentinel://host:port,host:port,host:port/name[/db]     the primary of that name, as the Sentinels know it
    redis+cluster://host:port,host:port,host:port     a cluster, found through any of these nodes

Each of the last two with TLS as rediss+…; user and password are those of the servers. Sentinels that ask for their own
take `?sentinel_username=…&sentinel_password=…`.

redis-py's own retries are off everywhere: a commit that is sent twice conflicts with itself, so only the caller may
repeat it, with the same ids.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from ...observability import tracing
from .errors import translated

SENTINEL_PORT, NODE_PORT = 26379, 6379
SENTINEL_SHARE = 0.25
"""Of a command's time, what one Sentinel may take to answer: the next one is asked then."""


def key(stream: str, part: str) -> str:
    """Where a part of a stream is: the hash tag keeps all of them on one shard."""
    return f"nbt:{{{stream}}}:{part}"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where the servers are, and what every connection to them needs."""

    kind: str
    """`one`, `sentinel` or `cluster`."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Of Sentinels or nodes."""
    primary: str = ""
    """Name of the primary that the Sentinels watch."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of a connection to a server: user, password, database, TLS, and what the query of a plain URL says."""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    """Of a connection to a Sentinel."""


def read_address(url: str) -> RedisAddress:
    """Read a URL. Raises ValueError, whose message never repeats a password, for one that is none of the above."""
    scheme = url.partition("://")[0]
    if "+" not in scheme:
        return RedisAddress("one", options=dict(parse_url(url)))
    secure, _, kind = scheme.partition("+")
    parts = urlsplit(url)
    if secure not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ValueError("the scheme must be redis, rediss, unix, redis+sentinel or redis+cluster")
    tls: dict[str, Any] = {"ssl": True} if secure == "rediss" else {}
    options = _login(parts) | tls
    path = [part for part in parts.path.split("/") if part]
    if kind == "cluster":
        if path or parts.query:
            raise ValueError("a cluster has one database and no options: redis+cluster://host:port,host:port")
        return RedisAddress("cluster", _hosts(parts, NODE_PORT), options=options)
    if not 1 <= len(path) <= 2 or not (len(path) == 1 or path[1].isdecimal()):
        raise ValueError(
            "the path must be the primary's name, and perhaps a database: redis+sentinel://host:port/name/0"
        )
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if unknown := asked.keys() - {"sentinel_username", "sentinel_password"}:
        raise ValueError(f"{len(unknown)} unknown option(s); there are sentinel_username and sentinel_password")
    own = {name.removeprefix("sentinel_"): value for name, value in asked.items()} | tls
    options |= {"db": int(path[1])} if len(path) == 2 else {}
    return RedisAddress("sentinel", _hosts(parts, SENTINEL_PORT), unquote(path[0]), options, own)


def _login(parts: SplitResult) -> dict[str, Any]:
    found = {"username": parts.username, "password": parts.password}
    return {name: unquote(value) for name, value in found.items() if value}


def _hosts(parts: SplitResult, default: int) -> tuple[tuple[str, int], ...]:
    """host:port, separated by commas; an IPv6 address in brackets."""
    found = []
    for one in parts.netloc.rpartition("@")[2].split(","):
        name, colon, port = one.rpartition(":") if not one.endswith("]") else (one, "", "")
        host = (name if colon else one).strip("[]")
        if not host or (colon and not port.isdecimal()):
            raise ValueError("hosts must be given as host:port, separated by commas")
        found.append((host, int(port) if colon else default))
    return tuple(found)


def _connection(timeout: float) -> dict[str, Any]:
    """What every connection gets, whatever the URL says."""
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
    """A script that the server runs, known to it by its hash."""

    name: str
    text: str
    sha: str

    @classmethod
    def load(cls, name: str) -> Self:
        """The one in `<name>.lua` beside this file."""
        text = (Path(__file__).parent / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class BoundedClient:
    """A client, and how many commands may be under way on it at once; more wait their turn within their time.

    A pool of redis-py refuses what it has no connection for, and only that of a single server can wait instead: here
    the waiting is the same for every arrangement.
    """

    def __init__(self, where: RedisAddress, timeout: float, most: int) -> None:
        self._timeout = timeout
        self._options = {**where.options, **_connection(timeout), "max_connections": most}
        self._turn = asyncio.Semaphore(most)
        self._sentinel: Any = None
        self._cluster: RedisCluster | None = None
        self._nodes: dict[str, Redis] = {}
        if where.kind == "one":
            self.redis = Redis.from_pool(ConnectionPool(**self._options))
        elif where.kind == "sentinel":
            asking = {**where.sentinel_options, **_connection(timeout * SENTINEL_SHARE)}
            self._sentinel = Sentinel(where.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
            self.redis = self._sentinel.master_for(where.primary, **self._options)
        else:
            nodes = [ClusterNode(host, port) for host, port in where.hosts]
            # A shard that is away makes its own streams unavailable, and no others.
            self._cluster = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **self._options)
            # The commands have the same names, and go where their keys live.
            self.redis = cast("Redis", self._cluster)

    async def reply(self, reply: Awaitable[Any]) -> Any:
        """The reply to a command, once it is its turn: the only place where the client is awaited.

        Raises NoScriptError, and everything else as a ServiceError.
        """
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                return await reply
        except NoScriptError:
            raise
        except (RedisError, RedisClusterException, OSError) as error:
            raise translated(error, self._timeout) from error
        finally:
            if asyncio.iscoroutine(reply):
                reply.close()  # nothing, but where its turn did not come

    async def run(self, script: Script, keys: list[str], *arguments: bytes | str | int) -> Any:
        """One round trip, or two when the server does not know the script (new, restarted, failed over)."""
        with tracing.script(script.name):
            try:
                return await self.reply(self.redis.evalsha(script.sha, len(keys), *keys, *arguments))
            except NoScriptError:  # so nothing ran
                return await self.reply(self.redis.eval(script.text, len(keys), *keys, *arguments))

    def client_of(self, key: str) -> Redis:
        """A client of the one server that has `key`, for commands that must go over one connection.

        It follows a primary that moves. Where a slot has moved it raises MovedError, until a command through `redis`
        has learnt of that.
        """
        node = None if self._cluster is None else self._cluster.get_node_from_key(key)
        if node is None:
            return self.redis
        if node.name not in self._nodes:
            self._nodes[node.name] = Redis(host=node.host, port=int(node.port), **self._options)
        return self._nodes[node.name]

    async def close(self) -> None:
        """Let go of every connection."""
        for client in (self.redis, *self._nodes.values()):
            await client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()
