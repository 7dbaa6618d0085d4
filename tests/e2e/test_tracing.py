"""The way of an event as a receiver of OTLP sees it: a real service, a real exporter, a small receiver on loopback."""

import asyncio
import importlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from nobacktrack.service.client.sync import Client, connect
from nobacktrack.service.schemas import Event, Outcome
from tests.support.processes import Command

Start = Callable[..., Command]

EXPORTED = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
"""Made by protobuf, without types."""
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Receiver:
    """Takes what is exported to `url`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[dict[str, Any]]:
        """All that came: name, kind, ids, attributes, and the number of its links."""
        found = []
        for body in self.bodies:
            for resource in EXPORTED.ExportTraceServiceRequest.FromString(body).resource_spans:
                service = plain(resource.resource.attributes)
                for scope in resource.scope_spans:
                    found += [
                        {
                            "name": span.name,
                            "kind": span.kind,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "service": service["service.name"],
                            "attributes": plain(span.attributes),
                        }
                        for span in scope.spans
                    ]
        return found


def plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_the_way_of_an_event_is_one_trace(
    command: Start, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    # Nothing leaves before the end, but by the flush there.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path))
    url = started.wait_for(r"ready at (http://127\.0\.0\.1:\d+) ").group(1)
    with Client(url) as client:
        client.create("taxi", targets=["rides"], units=2)
        assert client.ready()
    event = {"id": "s3cr3t-id", "y": {"rides": 77.125}}
    headers = {"traceparent": PARENT, "authorization": "Bearer s3cr3t"}
    answer = httpx.post(f"{url}/v1/streams/taxi/events", json=event, headers=headers)
    assert answer.json()["version"] == 1
    refused = httpx.post(f"{url}/v1/streams/taxi/events", json={"y": {"s3cr3t": 1}}, headers={"x-request-id": "bad"})
    assert refused.status_code == 422
    assert httpx.get(f"{url}/v1/streams/taxi/forecast?horizon=1").status_code == 200

    async def over_websocket() -> int:
        async with connect(url, "taxi") as connection:
            await connection.send(Event(y={"rides": 77.125}))
            answer = await connection.receive()
            assert isinstance(answer, Outcome)
            return answer.version

    assert asyncio.run(over_websocket()) == 2
    assert receiver.bodies == []
    assert started.send(signal.SIGTERM) == 0

    spans = receiver.spans()
    assert [span["name"] for span in spans if span["name"].startswith("WS")] == []
    assert [span["name"] for span in spans if span["attributes"].get("nobacktrack.version") == 2] == ["learn", "commit"]
    assert [span["name"] for span in spans if not span["parent"]].count("observe") == 1, "of the WebSocket alone"
    assert b"s3cr3t" not in b"".join(receiver.bodies)
    assert {span["service"] for span in spans} == {"ours"}
    assert not any("readyz" in span["name"] for span in spans)
    trace = {span["name"]: span for span in spans if span["trace"] == PARENT.split("-")[1]}
    names = ["POST /v1/streams/{stream}/events", "observe", "learn", "commit", "EVALSHA commit"]
    assert trace.keys() == set(names)
    request, observe, learn, commit, script = (trace[name] for name in names)
    assert [request["parent"], observe["parent"]] == [PARENT.split("-")[2], request["id"]]
    assert [learn["parent"], commit["parent"], script["parent"]] == [observe["id"], observe["id"], commit["id"]]
    assert (request["kind"], script["kind"]) == (2, 3), "server and client"
    about = {"nobacktrack.stream": "taxi", "nobacktrack.events": 1}
    assert observe["attributes"] == about
    assert learn["attributes"] == commit["attributes"] == about | {"nobacktrack.version": 1}
    assert script["attributes"] == {
        "db.system.name": "redis", "db.operation.name": "EVALSHA", "db.stored_procedure.name": "commit",
    }  # fmt: skip
    assert request["attributes"]["http.response.status_code"] == 200
    [asked] = [span for span in spans if span["name"] == "GET /v1/streams/{stream}/forecast"]
    assert asked["attributes"]["url.query"] == "REDACTED"


def test_without_the_packages_there_is_a_warning_and_a_service(
    command: Start, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # Runs at the start of every Python that finds it on its path.
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    monkeypatch.setenv("PYTHONPATH", f"{hidden}:{':'.join(path for path in sys.path if path)}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    started.wait_for("ready at ")
    warnings = [json.loads(line) for line in started.stderr.splitlines() if '"warning"' in line]
    assert ["pip install 'nobacktrack[otel]'" in warning["message"] for warning in warnings] == [True]
    assert started.send(signal.SIGTERM) == 0
    assert receiver.bodies == []
