"""What a server of Redis says of itself that contradicts what the service promises."""

import contextlib
from collections.abc import Mapping
from typing import Any

from ...errors import ServiceError
from .client import BoundedClient

OLDEST = 7
"""Version of Redis. Valkey says which one it is like: 7.2."""


async def warnings(client: BoundedClient, key: str, durable: bool) -> list[str]:
    """A line for each doubt about the server that has `key`; `durable`: what is acknowledged has to be on its disk.

    Many who rent out a Redis forbid one question or the other: nothing is said then.
    """
    found: list[str] = []
    with contextlib.suppress(ServiceError):
        found += too_old(await client.reply(client.client_of(key).info("server")))
    with contextlib.suppress(ServiceError):
        asked = ("appendonly", "appendfsync", "maxmemory-policy")
        found += risky(await client.reply(client.redis.config_get(*asked)), durable)
    return found


def too_old(info: Mapping[str, Any]) -> list[str]:
    """About the version that a server says it has."""
    version = str(info.get("redis_version", ""))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) >= OLDEST:
        return []
    return [f"the store is Redis {version}, with which this was never tried; use Redis {OLDEST} or Valkey 8, or later"]


def risky(config: Mapping[str, str], durable: bool) -> list[str]:
    """About a server's configuration."""
    found: list[str] = []
    fsync, policy = config.get("appendfsync"), config.get("maxmemory-policy")
    if config.get("appendonly") == "no":
        found.append("the store keeps no log on its disk: all is lost when it stops; set appendonly yes")
    elif durable and fsync not in ("always", None):
        found.append(
            f"the store flushes its log to disk {fsync}: what it acknowledged last is lost when it dies; "
            "set appendfsync always, or accept it with NBT_ACK=fast"
        )
    if policy not in ("noeviction", None):
        found.append(f"the store drops keys when it is full ({policy}), learners too; set maxmemory-policy noeviction")
    return found
