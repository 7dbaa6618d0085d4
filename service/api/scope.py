"""Facts about a request that several parts read from its ASGI scope: key, content type, address."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from ..security.keys import Key, Role

KEY = "nobacktrack.key"
"""Where the key of a request stands in its ASGI scope."""
NDJSON = "application/x-ndjson"
PROBES = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Addresses that are answered even while the service is full: a full service is not a dead one."""
_BULK = "nobacktrack.bulk"


def route_path(scope: Scope) -> str:
    """The path of a request without NBT_ROOT_PATH, which uvicorn puts in front of it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_inference(scope: Scope) -> bool:
    """Whether a request is of the Open Inference Protocol, whose errors have a form of their own."""
    path = route_path(scope)
    return path == "/v2" or path.startswith("/v2/")


def is_bulk(scope: Scope) -> bool:
    """Whether a request has events line by line (NDJSON). The headers are read once for each request."""
    bulk: bool | None = scope.get(_BULK)
    if bulk is None:
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        bulk = scope["method"] == "POST" and scope["path"].endswith("/events") and kind == NDJSON
        scope[_BULK] = bulk
    return bulk


def visible(scope: Mapping[str, Any], stream: str) -> bool:
    """Whether the request's key covers this stream, which may be named in the body; true where there are no keys."""
    key: Key | None = scope.get(KEY)
    return key is None or key.covers(stream)


def may(scope: Mapping[str, Any], role: Role) -> bool:
    """Whether the request's key has this role; true where there are no keys. For needs beyond the address."""
    key: Key | None = scope.get(KEY)
    return key is None or key.has(role)
