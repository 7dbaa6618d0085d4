"""The contract, tried by schemathesis over real HTTP: `python -m tests.contract.run ST …`, ST being its command.

A service in a process of its own, with a store of its own, is asked twice: without keys, and with a key of all rights,
which schemathesis leaves out now and then and expects a 401. What follows ST is for schemathesis.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from nobacktrack.service.cli.local_service import LocalService
from nobacktrack.service.client.sync import Client
from nobacktrack.service.schemas import Event
from nobacktrack.service.security import keys

HERE = Path(__file__).parent
SECONDS = 45 * 60
"""A run that takes longer has failed."""
COMPILED_SECONDS = 180.0
"""How long it may take until all kernels are compiled."""
WITH_KEY = '\n[auth.openapi]\nkey = { bearer = "${NBT_CONTRACT_KEY}" }\n'


def prepare(client: Client, token: str | None) -> None:
    """The stream, the event and the snapshot of the document's examples, so that they find something."""
    client.create("taxi", targets=["load"], inputs=["promo"], units=8)
    events = [Event(y={"load": 40.0 + n % 3}, x={"promo": n % 2}) for n in range(16)]
    list(client.observe_many("taxi", [*events, Event(id="a1", y={"load": 41.5}, x={"promo": 1})]))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{client.url}/v1/streams", headers=headers, timeout=COMPILED_SECONDS) as http:
        http.post("/taxi/snapshots", json={"name": "taxi"}).raise_for_status()
        # What is compiled when it is first used is compiled now: until then a 503 is right.
        http.get("/taxi/diagnostics").raise_for_status()
    client.create("double", targets=["load"], units=8, dtype="float64")


def run(command: str, options: list[str], *, with_key: bool) -> int:
    """One run; what schemathesis exits with. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="nobacktrack-contract-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        token = None
        if with_key:
            token, _ = keys.create(directory / "keys.json", "admin", keys.EVERYTHING)
            os.environ |= {"NBT_KEYS_FILE": str(directory / "keys.json"), "NBT_CONTRACT_KEY": token}
        config = directory / "schemathesis.toml"
        config.write_text((HERE / "schemathesis.toml").read_text() + (WITH_KEY if with_key else ""))
        with LocalService(directory / "data", embedded=not with_key) as service:
            with Client(service.url, key=token, retries=100, deadline=COMPILED_SECONDS) as client:
                prepare(client, token)
            asked = [command, "--config-file", str(config), "run", f"{service.url}/openapi.json", *options]
            return subprocess.run(asked, cwd=directory, timeout=SECONDS, check=False).returncode


def main(command: str, *options: str) -> int:
    """Both runs; 0 when neither found anything."""
    for setting in [name for name in os.environ if name.startswith("NBT_") or name == "REDIS_URL"]:
        del os.environ[setting]
    failed = 0
    for with_key in (False, True):
        print("With a key" if with_key else "Without keys", flush=True)
        failed += run(str(Path(command).resolve()), list(options), with_key=with_key) != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
