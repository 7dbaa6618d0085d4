"""What a server of Redis says of itself: its memory, and settings that break a promise of the service."""

import contextlib
from collections.abc import Mapping
from typing import Any

from ...errors import Internal, ServiceError
from ..base import Usage
from .client import BoundedClient

OLDEST = 7
"""The oldest version of Redis that was tried. Valkey names the version of Redis that it is like: 7.2."""


async def warnings(client: BoundedClient, key: str, durable: bool) -> list[str]:
    """A sentence for each setting of the server that has `key` that breaks a promise of the service.

    `durable` says whether acknowledged events have to be on the server's disk. Many who rent out a Redis forbid one
    question or the other; nothing is said about a question that is forbidden.
    """
    found: list[str] = []
    with contextlib.suppress(ServiceError):
        found += too_old(await client.reply(client.client_of(key).info("server")))
    with contextlib.suppress(ServiceError):
        asked = ("appendonly", "appendfsync", "maxmemory-policy")
        found += risky(await client.reply(client.redis.config_get(*asked)), durable)
    return found


def too_old(info: Mapping[str, Any]) -> list[str]:
    """A warning about the version of the server, if it is too old."""
    version = str(info.get("redis_version", ""))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) >= OLDEST:
        return []
    return [f"the store is Redis {version}, with which this was never tried; use Redis {OLDEST} or Valkey 8, or later"]


def risky(config: Mapping[str, str], durable: bool) -> list[str]:
    """Warnings about the configuration of the server."""
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


async def usage(client: BoundedClient) -> Usage | None:
    """The memory of the fullest server; None where the question is forbidden."""
    try:
        said = await client.reply(client.redis.info("memory"))
    except Internal:
        await client.reply(client.redis.ping())
        return None
    servers = said.values() if all(isinstance(one, dict) for one in said.values()) else [said]
    usages = [Usage(one["used_memory"], one.get("maxmemory", 0)) for one in servers]
    return max(usages, key=lambda usage: usage.used / usage.limit if usage.limit else 0.0)
