"""The URL of a store, read: which servers it names, and what a connection to them needs.

    redis://[user:password@]host:port/db     one server; rediss:// with TLS, unix:///path.sock on a socket
    redis+sentinel://host:port,host:port,host:port/name[/db]     the primary of that name, as the Sentinels know it
    redis+cluster://host:port,host:port,host:port     a cluster, found through any of these nodes

The last two use TLS as rediss+sentinel:// and rediss+cluster://. User and password are those of the servers; Sentinels
that need their own take `?sentinel_username=…&sentinel_password=…`. `valkey` means the same as `redis` everywhere, and
`valkeys` the same as `rediss`.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from redis.asyncio.connection import parse_url

SENTINEL_PORT, NODE_PORT = 26379, 6379
SCHEMES = {"valkey": "redis", "valkeys": "rediss"}
"""The schemes of Valkey, and those of Redis that mean the same."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Which servers there are, and what every connection to them needs."""

    kind: str
    """`one`, `sentinel` or `cluster`."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Host and port of each Sentinel or node."""
    primary: str = ""
    """The name of the primary that the Sentinels watch."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of a connection to a server: user, password, database, TLS, and the query of a plain URL."""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    """Options of a connection to a Sentinel."""


def read_address(url: str) -> RedisAddress:
    """Read a URL. Raises ValueError for any other URL; its message never repeats a password."""
    scheme, colon, rest = url.partition("://")
    secure, plus, kind = scheme.partition("+")
    secure = SCHEMES.get(secure, secure)
    if not plus:
        return RedisAddress("one", options=dict(parse_url(f"{secure}{colon}{rest}")))
    if secure not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ValueError(
            "the scheme must be redis, rediss, unix, redis+sentinel or redis+cluster (valkey stands for redis)"
        )
    # Not urlsplit: Debian's Python 3.11.2 and newer releases refuse an IPv6 address that is not the only host.
    parts = re.match(r"(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", rest)
    assert parts is not None, "every text matches"
    tls: dict[str, Any] = {"ssl": True} if secure == "rediss" else {}
    options = _login(parts["login"] or "") | tls
    path = [part for part in parts["path"].split("/") if part]
    if kind == "cluster":
        if path or parts["query"]:
            raise ValueError("a cluster has one database and no options: redis+cluster://host:port,host:port")
        return RedisAddress("cluster", _hosts(parts["hosts"], NODE_PORT), options=options)
    if not 1 <= len(path) <= 2 or not (len(path) == 1 or path[1].isdecimal()):
        raise ValueError(
            "the path must be the primary's name, and perhaps a database: redis+sentinel://host:port/name/0"
        )
    asked = {name: values[0] for name, values in parse_qs(parts["query"] or "").items()}
    if unknown := asked.keys() - {"sentinel_username", "sentinel_password"}:
        raise ValueError(f"{len(unknown)} unknown option(s); there are sentinel_username and sentinel_password")
    sentinel_options = {name.removeprefix("sentinel_"): value for name, value in asked.items()} | tls
    options |= {"db": int(path[1])} if len(path) == 2 else {}
    return RedisAddress("sentinel", _hosts(parts["hosts"], SENTINEL_PORT), unquote(path[0]), options, sentinel_options)


def _login(text: str) -> dict[str, Any]:
    """User and password, each where it is given."""
    username, _, password = text.partition(":")
    return {name: unquote(value) for name, value in (("username", username), ("password", password)) if value}


def _hosts(text: str, default: int) -> tuple[tuple[str, int], ...]:
    """host:port, separated by commas; an IPv6 address stands in brackets."""
    found = []
    for one in text.split(","):
        name, colon, port = one.rpartition(":") if not one.endswith("]") else (one, "", "")
        host = (name if colon else one).strip("[]")
        if not host or (colon and not port.isdecimal()):
            raise ValueError("hosts must be given as host:port, separated by commas")
        found.append((host, int(port) if colon else default))
    return tuple(found)
