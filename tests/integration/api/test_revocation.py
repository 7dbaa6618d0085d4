"""Connections that last longer than their keys, through a small application behind `Authentication`."""

import json
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nobacktrack.service.api.middleware.authentication import Authentication
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.security import keys
from nobacktrack.service.security.keyring import Keyring
from tests.integration.asgi import WebSocketTalk, converse, request_scope, websocket_scope

NDJSON = {"content-type": "application/x-ndjson"}
EVENTS = "/v1/streams/s/events"

pytestmark = pytest.mark.anyio


class Guarded:
    """An application behind `Authentication` whose key is revoked when `revoke` is called."""

    def __init__(self, path: Path, app: ASGIApp) -> None:
        self._path = path / "keys.json"
        self.token, self._key = keys.create(self._path, "admin", "*")
        self._now = 0.0
        ring = Keyring(self._path, lambda: self._now)
        self.app = Authentication(app, ring, Metrics(1), metrics_open=False)
        self.headers = {"authorization": f"Bearer {self.token}"}

    def revoke(self) -> None:
        keys.revoke(self._path, self._key.id)
        self._now += 1.0


async def test_a_websocket_is_closed_after_the_answers_to_what_it_had_sent(tmp_path: Path) -> None:
    read: list[str] = []

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            read.append(message["text"])
            if len(read) == 2:
                guarded.revoke()
        for text in read:  # late, as answers are
            await send({"type": "websocket.send", "text": text})

    guarded = Guarded(tmp_path, echo)
    messages: list[Message] = [{"type": "websocket.connect"}]
    messages += [{"type": "websocket.receive", "text": str(number)} for number in range(5)]
    scope = websocket_scope("/v1/streams/s/ws", guarded.headers)
    talk = WebSocketTalk(await converse(guarded.app, scope, messages))
    assert read == talk.texts[:2] == ["0", "1"]
    problem = json.loads(talk.texts[2])
    assert (problem["status"], problem["detail"]) == (401, "the key has been revoked")
    assert talk.sent[-1] == {"type": "websocket.close", "code": 1008}
    assert len(talk.texts) == 3


async def test_a_websocket_that_ends_by_itself_gets_no_second_end(tmp_path: Path) -> None:
    async def closing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        guarded.revoke()
        await receive()
        await send({"type": "websocket.close", "code": 1013})

    guarded = Guarded(tmp_path, closing)
    messages: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}]
    sent = await converse(guarded.app, websocket_scope("/v1/streams/s/ws", guarded.headers), messages)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]


async def test_a_bulk_request_ends_with_a_line_that_says_why(tmp_path: Path) -> None:
    async def bulk(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["type"] == "http.request":
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            guarded.revoke()

    guarded = Guarded(tmp_path, bulk)
    body: list[Message] = [{"type": "http.request", "body": b"%d\n" % number, "more_body": True} for number in range(5)]
    sent = await converse(guarded.app, request_scope("POST", EVENTS, guarded.headers | NDJSON), body)
    assert [message.get("body") for message in sent[:2]] == [None, b"0\n"]
    assert json.loads(sent[2]["body"])["status"] == 401
    assert sent[2]["body"].endswith(b"\n")
    assert sent[2]["more_body"] is False
    assert len(sent) == 3


async def test_what_is_read_for_ever_ends_at_once(tmp_path: Path) -> None:
    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(5):
            if number == 2:
                guarded.revoke()
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})

    guarded = Guarded(tmp_path, live)
    sent = await converse(guarded.app, request_scope("GET", "/v1/streams/s", guarded.headers), [])
    assert [message["body"] for message in sent[1:]] == [b"0", b"1", b""]
    assert sent[-1]["more_body"] is False


async def test_a_request_that_was_let_in_is_answered(tmp_path: Path) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"{}"
        guarded.revoke()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    guarded = Guarded(tmp_path, slow)
    body: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]
    sent = await converse(guarded.app, request_scope("POST", EVENTS, guarded.headers), body)
    assert sent[-1]["body"] == b"done"
    again = await converse(guarded.app, request_scope("POST", EVENTS, guarded.headers), body)
    assert again[0]["status"] == 401
