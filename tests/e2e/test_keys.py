"""Keys as people meet them: commands, a running service, its log."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from nobacktrack.service.client.sync import ApiError, Client, connect
from nobacktrack.service.schemas import Event, Outcome
from tests.support.processes import Command, wait_until

Start = Callable[..., Command]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("NBT_KEYS_FILE", str(path))
    return path


def printed(started: Command) -> str:
    """Standard output of a command that succeeds."""
    assert started.wait() == 0, started.output
    return started.stdout


def complaint(started: Command) -> str:
    """Standard error of a command that fails; it has no output."""
    assert started.wait() == 1, started.output
    assert started.stdout == ""
    return started.stderr


def make(command: Start, *options: str) -> str:
    """A new key, alone on standard output."""
    started = command("keys", "create", *options)
    [key] = printed(started).splitlines()
    [explanation] = started.stderr.splitlines()
    assert "is not shown again" in explanation
    assert key not in explanation
    return key


def test_without_keys_the_service_keeps_to_loopback(
    command: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("serve", "--port", "0", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data"))
    refused = complaint(command(*arguments))
    assert refused.splitlines()[-1].startswith("nobacktrack: without keys everybody who reaches 0.0.0.0 might")
    assert not (tmp_path / "data").exists(), "nothing has been started"
    monkeypatch.setenv("NBT_ALLOW_ANONYMOUS", "true")
    allowed = command(*arguments)
    allowed.wait_for(r'"level": "warning".*whoever reaches this may do everything')
    allowed.wait_for("ready at http://127.0.0.1:")
    assert allowed.send(signal.SIGTERM) == 0


@pytest.mark.parametrize(("content", "message"), [("{", "is damaged: "), (None, "No such file or directory")])
def test_a_keys_file_that_cannot_be_read_is_one_line(
    command: Start, file: Path, content: str | None, message: str
) -> None:
    if content is not None:
        file.write_text(content)
    for arguments in (("serve", "--port", "0"), ("keys", "list")):
        output = complaint(command(*arguments))
        assert message in output.splitlines()[-1]
        assert output.count("nobacktrack: ") == 1
        assert "Traceback" not in output


def test_commands_without_a_file_say_so(command: Start) -> None:
    for arguments in (("list",), ("revoke", "a"), ("create", "--scope", "*", "--role", "read")):
        assert complaint(command("keys", *arguments)) == (
            "nobacktrack: there is no keys file: name one with --file or in NBT_KEYS_FILE\n"
        )


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_new_key_is_all_of_standard_output(
    command: Start, file: Path, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    key = make(command, "--scope", "*", "--role", "read")
    assert key.startswith("nbt_")


def test_keys_are_listed_without_what_they_are(command: Start, file: Path) -> None:
    key = make(command, "--scope", "plant-*", "--role", "write", "--name", "line 3")
    plain = printed(command("keys", "list", "--file", str(file)))
    assert "line 3" in plain
    [listed] = json.loads(printed(command("keys", "list", "--json")))["keys"]
    assert listed.keys() == {"id", "name", "role", "scope", "created"}
    assert (listed["scope"], listed["role"]) == ("plant-*", "write")
    assert key not in plain
    assert key not in file.read_text()
    revoked = command("keys", "revoke", "line 3")
    assert (printed(revoked), "is revoked" in revoked.stderr) == ("", True)
    assert json.loads(printed(command("keys", "list", "--json"))) == {"keys": []}


def test_a_day_with_keys(command: Start, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, used in every way, changed for another without a restart, revoked; and never in the log."""
    monkeypatch.setenv("NBT_LOG_LEVEL", "debug")
    admin = make(command, "--scope", "*", "--role", "admin", "--name", "me")
    old = make(command, "--scope", "plant-*", "--role", "write", "--name", "plant")
    service = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    url = service.wait_for(r"ready at (http://127\.0\.0\.1:\d+) ").group(1)
    with Client(url, key=admin) as owner, Client(url, key=old) as plant, Client(url) as nobody:
        assert nobody.ready()
        unknown: list[Callable[[], object]] = [nobody.streams, nobody.metrics]
        for asks in unknown:
            with pytest.raises(ApiError) as refused:
                asks()
            assert refused.value.status == 401
        for name in ("plant-1", "other"):
            owner.create(name, targets=["y"], units=2)
        assert plant.streams() == ["plant-1"]
        assert plant.observe("plant-1", {"y": 1.0}).version == 1
        beyond: list[Callable[[], object]] = [
            lambda: plant.status("other"),
            lambda: plant.delete("plant-1"),
            plant.metrics,
        ]
        for asks in beyond:
            with pytest.raises(ApiError) as refused:
                asks()
            assert refused.value.status == 403
        assert 'type="forbidden"} 3.0' in owner.metrics()

        monkeypatch.setenv("NBT_KEY", old)
        listed = printed(command("streams", "--url", url, "--json"))
        assert [stream["name"] for stream in json.loads(listed)["streams"]] == ["plant-1"]

        new = make(command, "--scope", "plant-*", "--role", "write", "--name", "plant-2")
        found = asyncio.run(websockets(url, old, new, lambda: printed(command("keys", "revoke", "plant"))))
        assert found == {"header": 2, "subprotocol": ("nobacktrack", 3), "revoked": (401, 1008), "other": [403, 401]}
        with Client(url, key=new) as successor:
            assert successor.observe("plant-1", {"y": 4.0}).version == 4
        with pytest.raises(ApiError) as refused:
            plant.streams()
        assert refused.value.status == 401
    assert service.send(signal.SIGTERM) == 0
    for key in (admin, old, new):
        assert key.rpartition("_")[2] not in service.output
        assert key[-30:] not in service.output
    assert "2 keys are accepted" in service.output


async def websockets(url: str, old: str, new: str, revoke: Callable[[], object]) -> dict[str, Any]:
    """What happens with a key in the header, in a subprotocol, and when it is revoked."""
    found: dict[str, Any] = {}
    address = url.replace("http", "ws", 1) + "/v1/streams/plant-1/ws"
    async with asyncio.timeout(60):
        async with connect(url, "plant-1", key=old) as connection:
            await connection.send(Event(y={"y": 2.0}))
            answer = await connection.receive()
            assert isinstance(answer, Outcome)
            found["header"] = answer.version

            offered = [Subprotocol("nobacktrack"), Subprotocol(f"nobacktrack.key.{new}")]
            async with open_websocket(address, proxy=None, subprotocols=offered) as socket:
                # The event is on its way when the other key is revoked.
                await socket.send('{"y": {"y": 3.0}}')
                found["subprotocol"] = (socket.subprotocol, json.loads(await socket.recv())["version"])

        async with open_websocket(address, proxy=None, additional_headers={"authorization": f"Bearer {old}"}) as socket:
            await asyncio.to_thread(revoke)
            await asyncio.sleep(1.2)
            await socket.send('{"y": {"y": 9.0}}')
            problem = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            found["revoked"] = (problem["status"], socket.close_code)

        found["other"] = []
        for path, key in (("other", new), ("plant-1", old)):
            with pytest.raises(InvalidStatus) as refused:
                await open_websocket(
                    address.replace("plant-1", path), proxy=None, additional_headers={"authorization": f"Bearer {key}"}
                )
            assert json.loads(refused.value.response.body or b"")["status"] == refused.value.response.status_code
            found["other"].append(refused.value.response.status_code)
    return found


def test_a_private_service_of_a_command_knows_no_keys(
    command: Start, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(command, "--scope", "*", "--role", "admin")
    monkeypatch.setenv("NBT_HOST", "0.0.0.0")
    (tmp_path / "few.csv").write_text("y\n1\n2\n3\n")
    output = printed(command("replay", str(tmp_path / "few.csv"), "--target", "y", "--units", "2", "--json"))
    assert json.loads(output)["version"] == 3


def test_a_limit_on_the_rate_slows_and_refuses(command: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBT_RATE", "20")
    monkeypatch.setenv("NBT_RATE_BURST", "10")
    service = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    url = service.wait_for(r"ready at (http://127\.0\.0\.1:\d+) ").group(1)
    with Client(url) as client:
        client.create("s", targets=["y"], units=2)
        start = time.monotonic()
        answers = list(client.observe_many("s", [Event(y={"y": float(number % 3)}) for number in range(40)]))
        assert time.monotonic() - start >= (40 - 10) / 20 - 0.1
        assert [answer.version for answer in answers if isinstance(answer, Outcome)] == list(range(1, 41))

        def hurry() -> None:
            with Client(url, retries=0) as hasty:
                for _ in range(100):
                    hasty.status("s")

        with pytest.raises(ApiError) as refused:
            hurry()
        assert (refused.value.status, refused.value.retry_after) == (429, 1)
        wait_until(client.ready, lambda: "the probe is refused")
    assert service.send(signal.SIGTERM) == 0
