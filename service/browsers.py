"""Who may ask: programs, and pages of this service; not a page of another site that a browser happens to show.

A browser sends any page's requests anywhere, to 127.0.0.1 too, and a service on loopback has no other guard. What
tells on a page, and no page can change:

* `Origin`, the page's own address, with every request that is not a mere look, and with a WebSocket;
* `Sec-Fetch-Site`, whether that address is another site;
* `Host`, the name under which the service was asked: a site can let its own name lead to 127.0.0.1 (DNS rebinding)
  and is then, to the browser, the same site.

Programs send the first two not at all and the third right.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problem_response
from service.errors import Forbidden
from service.metrics import Metrics

LOOKS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing; without leave (CORS), which nobody gets, a page cannot read the answers."""
ANY = "*"


class OwnPages:
    """Refuses what only a page of another site can have sent, before anything else looks at it.

    `host` is what the service listens on; `allowed` as `Settings.allowed_hosts`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, host: str, allowed: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        names = allowed or ((host,) if _is_loopback(host) else (ANY,))
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await problem_response(refusal, self._metrics)(scope, receive, send)
        else:
            self._metrics.refused.labels(refusal.slug()).inc()
            await send({"type": "websocket.close", "code": refusal.close_code})

    def _refusal(self, scope: Scope) -> Forbidden | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._is_ours(host):
            return Forbidden("the service does not go by this name; NBT_ALLOWED_HOSTS can add one")
        if scope["type"] == "http" and scope["method"] in LOOKS:
            return None
        elsewhere = headers.get("sec-fetch-site") == "cross-site"
        if elsewhere or (origin is not None and (host is None or is_foreign(origin, host))):
            return Forbidden("pages of other sites may not do this")
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return ANY in self._names or name in self._names or _is_loopback(name)


def is_foreign(origin: str, host: str) -> bool:
    """Whether the page of this `Origin` is of another site than the one that was asked, `Host`."""
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost" or name.lower().endswith(".localhost")
