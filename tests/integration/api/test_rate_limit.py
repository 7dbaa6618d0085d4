"""Limits on rates, through a small application behind `RateLimit`: what is refused, and what is only held up."""

import asyncio
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from nobacktrack.service.api.middleware.rate_limit import Buckets, RateLimit, rate_limit_key
from nobacktrack.service.api.scope import KEY
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.security.keys import Key
from tests.integration.asgi import converse, request_scope, websocket_scope

EVENTS = "/v1/streams/s/events"
NDJSON = {"content-type": "application/x-ndjson"}

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """An application that reads all there is, and remembers what came when."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.times: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            more = True
            while more:
                message = await receive()
                self.note(message["body"])
                more = message["more_body"]
            await send({"type": "http.response.body", "body": b""})
        else:
            while (message := await receive())["type"] != "websocket.disconnect":
                self.note(message.get("text", "").encode())

    def note(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.times.append(time.monotonic())


def body(*pieces: bytes) -> list[Message]:
    last = len(pieces) - 1
    return [{"type": "http.request", "body": piece, "more_body": number < last} for number, piece in enumerate(pieces)]


async def ask(app: RateLimit, **more: Any) -> tuple[int, Headers, bytes]:
    sent = await converse(app, request_scope("POST", EVENTS, {}, **more), body(b"{}"))
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), content


async def test_at_the_limit_and_one_past_it() -> None:
    clock = Clock()
    app = RateLimit(Reader(), Buckets(0.5, 3, clock=clock), Metrics(1))
    for left in (2, 1, 0):
        status, headers, _ = await ask(app)
        assert status == 200
        assert headers["ratelimit-policy"] == '"events";q=3;w=6'
        assert headers["ratelimit"] == f'"events";r={left};t={(3 - left) * 2}'
    status, headers, content = await ask(app)
    assert status == 429
    assert headers["retry-after"] == "2"
    assert headers["ratelimit"] == '"events";r=0;t=6'
    problem = json.loads(content)
    assert (problem["type"], problem["retry_after"]) == ("urn:nobacktrack:problem:too-many", 2)
    clock.now += 2
    assert [(await ask(app))[0] for _ in range(2)] == [200, 429]


async def test_probes_and_documents_cost_nothing() -> None:
    app = RateLimit(Reader(), Buckets(0.001, 1, clock=Clock()), Metrics(1))
    for path in ("/livez", "/readyz", "/metrics", "/docs") * 3:
        sent = await converse(app, request_scope("GET", path), body(b""))
        assert sent[0] == {"type": "http.response.start", "status": 200, "headers": []}


async def test_each_key_and_each_address_has_its_own() -> None:
    app = RateLimit(Reader(), Buckets(0.001, 1, clock=Clock()), Metrics(1))
    key, other = (
        Key.model_validate_json(json.dumps({
            "id": letter * 12, "name": "n", "role": "write", "scope": "*", "sha256": "0" * 64,
            "created": "2026-01-01T00:00:00Z",
        }))
        for letter in "ab"
    )  # fmt: skip
    payers: list[tuple[dict[str, Any], int]] = [
        ({"client": ("192.0.2.1", 1)}, 200),
        ({"client": ("192.0.2.1", 2)}, 429),
        ({"client": ("192.0.2.2", 1)}, 200),
        ({KEY: key}, 200),
        ({KEY: key, "client": ("192.0.2.9", 1)}, 429),
        ({KEY: other}, 200),
        ({"client": ("2001:db8::1", 1)}, 200),
        ({"client": ("2001:db8::ffff:1", 1)}, 429),
        ({"client": ("2001:db8:0:1::1", 1)}, 200),
    ]
    for who, status in payers:
        assert (await ask(app, **who))[0] == status, who
    assert rate_limit_key({"client": None}) == rate_limit_key({"client": ("", 0)}) == ""


LINES = [
    ([b"1\n2\n3\n4\n5\n6\n"], 6),
    ([b"1\n2\n3\n4\n5\n6"], 6),
    ([b"1\n2", b"", b"2\n3\n4\n", b"5\n", b"6\n", b""], 6),
    ([b"1\n2\n3\n4\n5\n6\n", b""], 6),
    ([b"1"], 1),
    ([b"1", b""], 1),
    ([b""], 0),
]


@pytest.mark.parametrize(("pieces", "lines"), LINES)
async def test_a_line_costs_a_token_however_it_comes(pieces: Sequence[bytes], lines: int) -> None:
    clock, reader = Clock(), Reader()
    buckets = Buckets(1e-3, 10, clock=clock)
    sent = await converse(RateLimit(reader, buckets, Metrics(1)), request_scope("POST", EVENTS, NDJSON), body(*pieces))
    assert b"".join(reader.pieces) == b"".join(pieces)
    assert buckets.tokens("127.0.0.1") == pytest.approx(10 - lines)
    assert Headers(raw=sent[0]["headers"])["ratelimit"].startswith('"events";r=10'), "it began with all of them"


async def test_lines_are_held_up_and_none_is_refused() -> None:
    reader = Reader()
    rate, burst, lines = 100, 10, 60
    app = RateLimit(reader, Buckets(rate, burst), Metrics(1))
    text = b"".join(b"%d\n" % number for number in range(lines))
    start = time.monotonic()
    sent = await converse(app, request_scope("POST", EVENTS, NDJSON), body(text))
    assert sent[0]["status"] == 200
    assert b"".join(reader.pieces) == text
    assert time.monotonic() - start >= (lines - burst) / rate - 0.01


async def test_slow_rates_hand_on_line_by_line() -> None:
    """A client that waits for an answer gets one as soon as there is a token, not when there are many."""
    reader = Reader()
    app = RateLimit(reader, Buckets(20, 3), Metrics(1))
    await converse(app, request_scope("POST", EVENTS, NDJSON), body(b"a\nb\nc\nd\n" + b"e\n" * 26))
    assert max(piece.count(b"\n") for piece in reader.pieces) == 20
    buckets = Buckets(0.5, 1)
    late = Reader()
    task = asyncio.create_task(
        converse(RateLimit(late, buckets, Metrics(1)), request_scope("POST", EVENTS, NDJSON), body(b"a\nb\nc\n"))
    )
    async with asyncio.timeout(10):
        while not late.pieces:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert late.pieces == [b"a\n"], "the next line is due in two seconds"
    task.cancel()


async def test_messages_of_a_websocket_are_held_up_in_order() -> None:
    reader = Reader()
    rate, burst, count = 100, 5, 30
    messages: list[Message] = [{"type": "websocket.receive", "text": str(number)} for number in range(count)]
    messages.append({"type": "websocket.disconnect", "code": 1000})
    start = time.monotonic()
    await converse(RateLimit(reader, Buckets(rate, burst), Metrics(1)), websocket_scope("/v1/streams/s/ws"), messages)
    assert reader.pieces == [str(number).encode() for number in range(count)]
    assert time.monotonic() - start >= (count - burst) / rate - 0.01
    for number, at in enumerate(reader.times, 1):
        assert number <= burst + rate * (at - start) + 1, "never ahead of the rate"


async def test_connections_of_one_key_share_its_tokens() -> None:
    buckets = Buckets(100, 1)
    readers = [Reader() for _ in range(4)]
    start = time.monotonic()
    await asyncio.gather(
        *(
            converse(RateLimit(reader, buckets, Metrics(1)), request_scope("POST", EVENTS, NDJSON), body(b"a\n" * 10))
            for reader in readers
        )
    )
    assert time.monotonic() - start >= math.floor(39 / 100 * 1000) / 1000 - 0.01
