"""What docs/OPERATIONS.md tells people to do, done: the proxy, the backup of a store that runs."""

import asyncio
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from redis import Redis
from websockets.asyncio.client import connect

from nobacktrack.service.client.sync import Client
from nobacktrack.service.offline import replay_log
from nobacktrack.service.store.redis.store import RedisStore
from tests.support.needs import path_of
from tests.support.processes import RunningService, wait_until
from tests.support.servers import HOST, Server, free_port

OPERATIONS = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")


@pytest.fixture
def proxy(shared_service: RunningService, tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """The nginx of the handbook in front of a service: its address without the scheme, and whom to trust."""
    nginx, openssl = path_of("nginx"), path_of("openssl")
    found = re.search(r"^```nginx\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert found is not None
    port, certificate = free_port(), tmp_path / "learn.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    named = ("-subj", "/CN=learn.example", "-addext", f"subjectAltName=IP:{HOST}", "-days", "2")
    files = ("-keyout", str(tmp_path / "learn.key"), "-out", str(certificate))
    subprocess.run([openssl, "req", "-x509", *made, *named, *files], check=True, capture_output=True)
    text = found[1]
    for theirs, ours in {
        "127.0.0.1:8000": shared_service.url.removeprefix("http://"),
        "listen 443 ssl": f"listen {HOST}:{port} ssl",
        "/etc/ssl/learn.example": str(tmp_path / "learn"),
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}}}\n"
    )
    trust = ssl.create_default_context(cafile=certificate)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([nginx, "-p", tmp_path, "-c", "nginx.conf"], stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port, trust), (tmp_path / "log").read_text)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield f"{HOST}:{port}", trust
    finally:
        process.terminate()
        process.wait()


def _answers(port: int, trust: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"https://{HOST}:{port}/livez", verify=trust).status_code == 200
    except httpx.TransportError:
        return False


def test_the_proxy_passes_everything_on_as_it_comes(proxy: tuple[str, ssl.SSLContext]) -> None:
    """Single events, watching, lines that are answered while others are still to be sent, a WebSocket."""
    address, trust = proxy

    def lines() -> Iterator[bytes]:
        for number in range(600):
            yield b'{"y": {"y": %d}}' % (number % 7) + b" " * 2000 + b"\n"

    with httpx.Client(base_url=f"https://{address}", verify=trust, timeout=20) as client:
        own = {"X-Request-ID": "mine"}
        made = client.put("/v1/streams/proxied", json={"targets": ["y"], "units": 2}, headers=own)
        assert made.status_code == 201
        assert made.headers["x-request-id"] == "mine"
        assert client.get("/metrics").status_code == 404
        page = client.get("/")
        assert "<title>NoBackTrack" in page.text
        for file in re.findall(r'(?:src|href)="(static/[^"]+)"', page.text):
            assert client.get(f"/{file}").status_code == 200
        with client.stream("GET", "/v1/streams/proxied/live") as live:
            assert client.post("/v1/streams/proxied/events", json={"y": {"y": 1}}).json()["version"] == 1
            assert next(line for line in live.iter_lines() if line.startswith("id:")) == "id: 1"
        headers = {"content-type": "application/x-ndjson"}
        answers = client.post("/v1/streams/proxied/events", content=lines(), headers=headers).text.splitlines()
        assert [json.loads(line)["version"] for line in answers] == list(range(2, 602)), "more than a megabyte"

    async def converse() -> int:
        async with connect(f"wss://{address}/v1/streams/proxied/ws", ssl=trust, proxy=None) as socket:
            await socket.send('{"y": {"y": 1}}')
            return int(json.loads(await socket.recv())["version"])

    assert asyncio.run(converse()) == 602


def test_a_copy_of_a_store_that_runs_has_all_that_was_acknowledged(
    shared_service: RunningService, tmp_path: Path
) -> None:
    """By the commands of the handbook, while events come; what the copy holds is whole."""
    backup = OPERATIONS.partition("\n## Back up and restore\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    redis-cli (\S.*?)(?:  +#.*)?$", backup, re.MULTILINE)
    assert commands[1] == "INFO persistence"
    enough = threading.Event()

    def send() -> None:
        with Client(shared_service.url) as sender:
            for number in range(100_000):
                sender.observe("copied", {"y": float(number % 5)})
                if enough.is_set():
                    break

    with (
        Client(shared_service.url) as client,
        Redis(unix_socket_path=str(shared_service.data_dir / "redis.sock")) as redis,
        ThreadPoolExecutor() as pool,
    ):
        client.create("copied", targets=["y"], units=2)
        sending = pool.submit(send)
        wait_until(lambda: client.status("copied").version >= 20, lambda: "no events")
        redis.execute_command(*commands[0].split())
        wait_until(lambda: redis.info("persistence")["aof_rewrite_in_progress"] == 0, lambda: "it is being rewritten")
        acknowledged = client.status("copied").version
        shutil.copytree(shared_service.data_dir / "appendonlydir", tmp_path / "copy" / "appendonlydir")
        redis.execute_command(*commands[2].split())
        enough.set()
        sending.result()
        assert redis.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"}

    async def digest(url: str) -> str:
        store = RedisStore(url, 5)
        try:
            return (await replay_log.rebuild(store, "copied", 0, acknowledged)).digest
        finally:
            await store.close()

    with Server(tmp_path / "copy") as restored:
        there = asyncio.run(digest(restored.url))
    assert there == asyncio.run(digest(f"unix://{shared_service.data_dir}/redis.sock"))
