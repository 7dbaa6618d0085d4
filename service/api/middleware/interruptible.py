"""A request whose reading can be ended by middleware, with a reason that the client gets."""

from starlette.types import Message, Receive, Scope, Send

from ...errors import ServiceError
from ...observability.metrics import Metrics
from ..ndjson import encode
from ..problems import problem_response
from ..scope import is_bulk


class Exchange:
    """Wraps `receive` and `send` of one request.

    After `cut` the application sees a disconnected client and ends. Its answer is dropped unless it has begun. `finish`
    then sends the reason: as the response, or as the last line of an NDJSON answer that has begun.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._begun = self._ended = False
        self._reason: ServiceError | None = None

    def cut(self, reason: ServiceError) -> None:
        """End the reading."""
        self._reason = reason

    async def receive(self) -> Message:
        """The application's `receive`."""
        return {"type": "http.disconnect"} if self._reason is not None else await self._receive()

    async def send(self, message: Message) -> None:
        """The application's `send`."""
        if self._ended or (self._reason is not None and not self._begun):
            return
        self._begun = True
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def finish(self, metrics: Metrics) -> None:
        """Send the reason if the request was cut. To be called when the application has returned."""
        if self._reason is None or self._ended:
            return
        if self._begun:
            line = encode(self._reason, metrics) + b"\n" if is_bulk(self._scope) else b""
            await self._send({"type": "http.response.body", "body": line, "more_body": False})
        else:
            # The connection is not closed here: what still comes would reset it, and the client lose the response.
            await problem_response(self._reason, metrics, self._scope)(self._scope, self._receive, self._send)
