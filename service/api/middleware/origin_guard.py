"""Refuses requests from pages of other sites; programs and this service's own pages may ask.

A browser sends any page's requests anywhere, also to 127.0.0.1, and a service on loopback has no other guard. These
headers identify a web page, and its scripts cannot set them:

* `Origin`, the page's own address, with every request that may change something, and with a WebSocket;
* `Sec-Fetch-Site`, whether that address is another site;
* `Host`, the name under which the service was asked: a site can let its own name lead to 127.0.0.1 (DNS rebinding)
  and is then, to the browser, the same site.

Programs do not send the first two, and send the third rightly. Pages of other sites may do what this service's own may
when their `Origin` is named in NBT_CORS_ORIGINS; only then are their answers marked as readable for them (CORS).
"""

import ipaddress
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import Forbidden
from ...observability.metrics import Metrics
from ..problems import refuse

SAFE_METHODS = frozenset({"GET", "HEAD", "TRACE"})
"""Methods that change nothing; a page cannot read their answers without permission (CORS). OPTIONS, by which a browser
asks for that permission, is refused like the request that would follow."""
ANY = "*"


class OriginGuard:
    """Refuses requests that only a page of another site can have sent.

    `host` is what the service listens on; `allowed` as `Settings.allowed_hosts`, `origins` as
    `Settings.cors_origins`.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, host: str, allowed: Collection[str], origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._metrics = metrics
        names = allowed or ((host,) if _is_loopback(host) else (ANY,))
        self._origins = frozenset(origins)
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refuse(refusal, self._metrics, scope, receive, send)

    def _refusal(self, scope: Scope) -> Forbidden | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._is_ours(host):
            return Forbidden("the service does not go by this name; NBT_ALLOWED_HOSTS can add one")
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        if origin is not None and origin.lower() in self._origins:
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


def cross_origin(origins: Collection[str]) -> dict[str, Any]:
    """The arguments of Starlette's CORSMiddleware for these sites. A page sends its key itself, not as a cookie."""
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "PUT", "POST", "DELETE"],
        "allow_headers": ["Authorization", "Content-Type", "Last-Event-ID", "X-Request-ID"],
        "expose_headers": ["RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"],
    }


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
