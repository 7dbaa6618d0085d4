"""Several servers that are one store: a primary that Sentinels watch, and a cluster of three shards."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from tests.support.processes import wait_until
from tests.support.servers import HOST, Sentinel, Server, answers, free_port

NAME = "mymaster"
SLOTS = 16384


def _in_sync(server: Server, replicas: int = 1) -> bool:
    """Whether so many replicas follow a primary and have all of it."""

    def ready(client: Redis) -> bool:
        said: dict[str, Any] = client.info("replication")
        followers = [said[f"slave{i}"] for i in range(said["connected_slaves"])]
        return bool(said["role"] == "master" and sum(one["state"] == "online" for one in followers) >= replicas)

    return answers(server.port, ready)


class Watched:
    """A primary, its replica, and three Sentinels that promote the replica when the primary has been away for 1 s."""

    def __init__(self, directory: Path) -> None:
        options = ("--repl-diskless-sync-delay", "0", "--repl-timeout", "10")
        self.servers = [Server(directory / f"server{i}", *options) for i in range(2)]
        self._sentinels = [Sentinel(directory / f"sentinel{i}", self.servers[0].port) for i in range(3)]

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"redis+sentinel://{','.join(one.address for one in self._sentinels)}/{NAME}"

    def __enter__(self) -> Self:
        try:
            first, second = self.servers
            first.start()
            second.start("--replicaof", f"{HOST} {first.port}")
            wait_until(lambda: _in_sync(first), first.log.read_text)
            for sentinel in self._sentinels:
                sentinel.start()
            wait_until(lambda: all(map(self._knows_all, self._sentinels)), lambda: "the Sentinels have not met")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._sentinels, *self.servers):
            one.stop()

    def primary(self) -> Server:
        """The one that the Sentinels name and that says so itself."""
        found: list[Server] = []

        def agreed() -> bool:
            named = {port for sentinel in self._sentinels if (port := _named(sentinel)) is not None}
            found[:] = [one for one in self.servers if named == {one.port} and answers(one.port, _leads)]
            return bool(found)

        wait_until(agreed, lambda: "the Sentinels do not agree on a primary that is there")
        return found[0]

    def replica(self) -> Server:
        """The other one."""
        primary = self.primary()
        [other] = (one for one in self.servers if one is not primary)
        return other

    def fail_over(self) -> None:
        """Kill the primary, wait until its replica is promoted, and let the killed one follow it."""
        old = self.primary()
        old.kill()
        new = self.primary()
        assert new is not old
        old.start("--replicaof", f"{HOST} {new.port}")

    def settle(self) -> None:
        """Return when the primary is followed and every Sentinel would notice if it went."""
        wait_until(lambda: _in_sync(self.primary()), lambda: "the replica does not follow")
        wait_until(lambda: all(map(self._knows_all, self._sentinels)), lambda: "the Sentinels miss the replica")

    @staticmethod
    def _knows_all(sentinel: Sentinel) -> bool:
        def ready(client: Redis) -> bool:
            master = _pairs(_run(client, "SENTINEL MASTER", NAME))
            replicas = [_pairs(one) for one in _run(client, "SENTINEL REPLICAS", NAME)]
            return (
                master["flags"] == "master"
                and int(master["num-other-sentinels"]) == 2
                and [(one["flags"], one["master-link-status"]) for one in replicas] == [("slave", "ok")]
            )

        return answers(sentinel.port, ready)


def _leads(client: Redis) -> bool:
    return str(client.info("replication")["role"]) == "master"


def _named(sentinel: Sentinel) -> int | None:
    """The port of the primary that a Sentinel names."""
    with contextlib.suppress(RedisError, OSError), sentinel.client() as client:
        return int(_run(client, "SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)[1])
    return None


def _pairs(reply: Any) -> dict[str, str]:
    """Names and values of a Sentinel's answer, however the client has read it."""
    flat = [part for pair in reply.items() for part in pair] if isinstance(reply, dict) else reply
    texts = [part.decode() if isinstance(part, bytes) else str(part) for part in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


class Cluster:
    """Three primaries with a third of the slots each, and no replicas."""

    def __init__(self, directory: Path) -> None:
        self._bus = [free_port() for _ in range(3)]
        self.shards = [
            Server(
                directory / f"shard{i}",
                *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000"),
            )
            for i, bus in enumerate(self._bus)
        ]

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"redis+cluster://{','.join(one.address for one in self.shards)}"

    def __enter__(self) -> Self:
        try:
            bounds = [SLOTS * i // 3 for i in range(4)]
            for i, shard in enumerate(self.shards):
                shard.start()
                ask(shard, "CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
                ask(shard, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            for shard, bus in zip(self.shards[1:], self._bus[1:], strict=True):
                ask(self.shards[0], "CLUSTER", "MEET", HOST, shard.port, bus)
            wait_until(lambda: all(answers(shard.port, _whole) for shard in self.shards), self.shards[0].log.read_text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for shard in self.shards:
            shard.stop()

    def owner(self, slot: int) -> Server:
        """The shard that says that a slot is its own."""
        [found] = (shard for shard in self.shards if _has(shard, slot))
        return found

    def move(self, slot: int, to: Server, between: Callable[[], object]) -> int:
        """Move a slot key by key; `between` is called with the slot half moved, after each. The number of keys."""
        source = self.owner(slot)
        ours, theirs = (ask(one, "CLUSTER", "MYID") for one in (source, to))
        ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ours)
        ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", theirs)
        moved = 0
        between()
        while keys := ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1):
            ask(source, "MIGRATE", HOST, to.port, "", 0, 5000, "KEYS", *keys)
            moved += 1
            between()
        for shard in (to, source, *self.shards):
            ask(shard, "CLUSTER", "SETSLOT", slot, "NODE", theirs)
        return moved


def _has(shard: Server, slot: int) -> bool:
    mine = ask(shard, "CLUSTER", "MYID")
    return any(first <= slot <= last and node[2] == mine for first, last, node, *_ in ask(shard, "CLUSTER", "SLOTS"))


def _whole(client: Redis) -> bool:
    said = _run(client, "CLUSTER INFO")
    return (said["cluster_state"], said["cluster_known_nodes"], said["cluster_slots_ok"]) == ("ok", "3", str(SLOTS))


def ask(server: Server, *command: object) -> Any:
    """The answer to one command, as the server gives it."""
    with server.client() as client:
        return _run(client, *command)


def _run(client: Redis, *command: object) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]
