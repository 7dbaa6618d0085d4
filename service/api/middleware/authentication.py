"""Who may do what: one table, which is looked up before a request is handled.

    read    look at streams and their forecasts      write   also make streams and send events      admin   everything

A stream's name in the address has to be in the key's scope. An address that the table does not name is closed to
everybody, so that a forgotten rule closes an address and does not open it.

The key comes as `Authorization: Bearer <key>`. A page cannot set that header on a WebSocket: it offers the
subprotocols `nobacktrack` and `nobacktrack.key.<key>`, of which the first is accepted. Never in the address: that
ends up in logs and histories. A connection ends, after the answers to what it had sent, when its key is revoked.
"""

import re
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import Forbidden, NotFound, ServiceError, Unauthorized
from ...observability.metrics import Metrics
from ...security.keyring import Keyring
from ...security.keys import EVERYTHING, Key, Role
from ..ndjson import encode
from ..problems import refuse
from ..scope import KEY, is_bulk, route_path
from .interruptible import Exchange

SUBPROTOCOL = "nobacktrack"
KEY_SUBPROTOCOL = "nobacktrack.key."
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nobacktrack"'}


class Need(NamedTuple):
    """What a key must have for an address."""

    role: Role | None
    """None means that no key is needed."""
    every: bool = False
    """Whether the key's scope must be all streams, because the answer is about all."""


OPEN, READ, WRITE, ADMIN = Need(None), Need("read"), Need("write"), Need("admin")

RULES: dict[tuple[str, str], Need] = {
    # The page holds no data: it asks for a key, and with that for what it shows.
    ("GET", "/"): OPEN,
    ("GET", "/static/{name}"): OPEN,
    # Probes know no keys. The documentation is that of every such service and holds no data.
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/docs/swagger-ui-bundle.js"): OPEN,
    ("GET", "/docs/swagger-ui.css"): OPEN,
    ("GET", "/docs/favicon-32x32.png"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    # Names of streams are labels in it.
    ("GET", "/metrics"): Need("read", every=True),
    # Shows only what the key may see: `keyring.visible`.
    ("GET", "/v1/streams"): READ,
    ("GET", "/v1/streams/{stream}"): READ,
    ("PUT", "/v1/streams/{stream}"): WRITE,
    ("DELETE", "/v1/streams/{stream}"): ADMIN,
    ("POST", "/v1/streams/{stream}/events"): WRITE,
    ("GET", "/v1/streams/{stream}/forecast"): READ,
    ("POST", "/v1/streams/{stream}/forecast"): READ,
    ("PUT", "/v1/streams/{stream}/events/{event:text}/label"): WRITE,
    ("GET", "/v1/streams/{stream}/live"): READ,
    # Too dear for those who only look.
    ("GET", "/v1/streams/{stream}/diagnostics"): WRITE,
    ("GET", "/v1/streams/{stream}/snapshots"): READ,
    ("POST", "/v1/streams/{stream}/snapshots"): WRITE,
    ("DELETE", "/v1/streams/{stream}/snapshots/{snapshot}"): ADMIN,
    ("POST", "/v1/streams/{stream}/snapshots/{snapshot}/restore"): ADMIN,
    # The stream that it makes is looked at there.
    ("POST", "/v1/streams/{stream}/clone"): ADMIN,
    ("WEBSOCKET", "/v1/streams/{stream}/ws"): WRITE,
    ("GET", "/v2"): OPEN,
    ("GET", "/v2/"): OPEN,
    ("GET", "/v2/health/live"): OPEN,
    ("GET", "/v2/health/ready"): OPEN,
    ("GET", "/v2/models/{stream}"): READ,
    ("GET", "/v2/models/{stream}/versions/{version}"): READ,
    ("GET", "/v2/models/{stream}/ready"): READ,
    ("GET", "/v2/models/{stream}/versions/{version}/ready"): READ,
    # Learning, which the body asks for, needs more: looked at there.
    ("POST", "/v2/models/{stream}/infer"): READ,
    ("POST", "/v2/models/{stream}/versions/{version}/infer"): READ,
}
"""(method, address): what it needs. HEAD is as GET."""


def _pattern(path: str) -> re.Pattern[str]:
    """The addresses that a router means by this: `{name}` is one part, `{name:text}` is any text (`AnyText`)."""
    escaped = re.sub(r"\\\{(\w+):text\\\}", r"(?P<\1>(?s:.*))", re.escape(path))
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", escaped))


_ADDRESSES = [(method, _pattern(path), need) for (method, path), need in RULES.items()]


class Authentication:
    """Lets through what the keys allow, and puts the key into the scope (`KEY`)."""

    def __init__(self, app: ASGIApp, keyring: Keyring, metrics: Metrics, *, metrics_open: bool) -> None:
        self._app = app
        self._keyring = keyring
        self._metrics = metrics
        self._metrics_open = metrics_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            key = self._admit(scope)
        except ServiceError as error:
            headers = CHALLENGE if isinstance(error, Unauthorized) else None
            await refuse(error, self._metrics, scope, receive, send, headers)
            return
        if key is None:
            await self._app(scope, receive, send)
            return
        scope[KEY] = key
        if scope["type"] == "http":
            await self._request(key, scope, receive, send)
        else:
            await self._websocket(key, scope, receive, send)

    def _admit(self, scope: Scope) -> Key | None:
        """The key of a request that is allowed; None where none is needed. Raises Unauthorized, NotFound, Forbidden."""
        method, path = scope.get("method", "WEBSOCKET"), route_path(scope)
        others, need, stream = _find("GET" if method == "HEAD" else method, path)
        if self._is_open(path, [need] if need is not None else others):
            return None
        token = _token(scope)
        if token is None:
            raise Unauthorized("send a key: Authorization: Bearer <key>")
        key = self._keyring.find(token)
        if key is None:
            raise Unauthorized("this key is not known, or no longer")
        if need is None:
            if others:
                return key  # another method of an address: the router says which there are
            raise NotFound("see /docs for what there is")
        assert need.role is not None
        if not key.has(need.role):
            raise Forbidden(f"this needs a key with the role {need.role}")
        if (need.every and key.scope != EVERYTHING) or (stream is not None and not key.covers(stream)):
            raise Forbidden("the key is for other streams")
        return key

    def _is_open(self, path: str, needs: list[Need]) -> bool:
        """Whether no key is needed for any of these."""
        return bool(needs) and all(need.role is None or (path == "/metrics" and self._metrics_open) for need in needs)

    async def _request(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        """End a long request when its key is revoked: a bulk request after its answers, a watched stream at once."""
        exchange = Exchange(scope, receive, send)
        bulk = is_bulk(scope)

        async def read() -> Message:
            if bulk and not self._keyring.holds(key):
                exchange.cut(Unauthorized("the key has been revoked"))
            return await exchange.receive()

        async def write(message: Message) -> None:
            if message.get("more_body") and not bulk and not self._keyring.holds(key):
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await exchange.send(message)

        await self._app(scope, read, write)
        await exchange.finish(self._metrics)

    async def _websocket(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        offered = scope.get("subprotocols", [])
        # Nothing after this needs the key, and nothing can log it.
        scope["subprotocols"] = [name for name in offered if not name.startswith(KEY_SUBPROTOCOL)]
        revoked = closed = False

        async def read() -> Message:
            nonlocal revoked
            message = await receive()
            if message["type"] == "websocket.receive" and not self._keyring.holds(key):
                revoked = True
                return {"type": "websocket.disconnect", "code": Unauthorized.close_code}
            return message

        async def write(message: Message) -> None:
            nonlocal closed
            if message["type"] == "websocket.accept" and SUBPROTOCOL in offered:
                message["subprotocol"] = message.get("subprotocol") or SUBPROTOCOL
            closed = closed or message["type"] == "websocket.close"
            await send(message)

        await self._app(scope, read, write)
        if revoked and not closed:
            problem = encode(Unauthorized("the key has been revoked"), self._metrics).decode()
            await send({"type": "websocket.send", "text": problem})
            await send({"type": "websocket.close", "code": Unauthorized.close_code})


def describe(app: FastAPI) -> None:
    """Let the OpenAPI document say that keys are needed, and where."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        schema.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if RULES.get((method.upper(), path), ADMIN).role is not None:
                    operation["security"] = [{"key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _find(method: str, path: str) -> tuple[list[Need], Need | None, str | None]:
    """The needs of other methods of this address, the need of this method, and the stream in the address."""
    others: list[Need] = []
    for known, pattern, need in _ADDRESSES:
        found = pattern.fullmatch(path)
        if found is not None:
            if known == method:
                return others, need, found.groupdict().get("stream")
            others.append(need)
    return others, None, None


def _token(scope: Scope) -> str | None:
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for name in scope.get("subprotocols", []):
        if name.startswith(KEY_SUBPROTOCOL):
            return str(name.removeprefix(KEY_SUBPROTOCOL))
    return None
