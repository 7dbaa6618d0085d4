"""One durable event over HTTP against an endpoint that does nothing: what predicting, learning and fsync add."""

import http.client
import json
from pathlib import Path

from nobacktrack.service.cli.local_service import LocalService
from tests.bench.timing import best_of, report


def test_a_durable_event_against_nothing(tmp_path: Path) -> None:
    with LocalService(tmp_path, embedded=True) as service:
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"))

        def call(method: str, path: str, body: str | None = None) -> bytes:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, content
            return content

        call("PUT", "/v1/streams/bench", json.dumps({"targets": ["y"], "units": 64}))
        event = json.dumps({"y": {"y": 1.5}})
        seconds = best_of(
            {
                "event": lambda: call("POST", "/v1/streams/bench/events", event),
                "nothing": lambda: call("GET", "/livez"),
            },
            seconds=0.3,
        )
        connection.close()
    ratio = seconds["event"] / seconds["nothing"]
    what = (
        f"a durable event of {1e3 * seconds['event']:.2f} ms (64 units, fsync always) over an empty answer of "
        f"{1e3 * seconds['nothing']:.2f} ms"
    )
    report(what, ratio, "at most 6", met=ratio <= 6)
