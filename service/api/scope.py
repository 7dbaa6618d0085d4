"""What the parts of the application read from the ASGI scope of a request: its key, its content type, its address."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from ..security.keys import Key, Role

KEY = "nobacktrack.key"
"""Where the key of a request stands in its ASGI scope."""
NDJSON = "application/x-ndjson"
PROBES = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Addresses that are answered while the service is full: it is not dead then."""
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
    """Whether a request brings events line by line. The headers are read once a request."""
    bulk: bool | None = scope.get(_BULK)
    if bulk is None:
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        bulk = scope["method"] == "POST" and scope["path"].endswith("/events") and kind == NDJSON
        scope[_BULK] = bulk
    return bulk


def visible(scope: Mapping[str, Any], stream: str) -> bool:
    """Whether whoever asks may see this stream; everybody, where there are no keys. Also for names inside of a body."""
    key: Key | None = scope.get(KEY)
    return key is None or key.covers(stream)


def may(scope: Mapping[str, Any], role: Role) -> bool:
    """Whether whoever asks has this role; everybody, where there are no keys. For what the address does not tell."""
    key: Key | None = scope.get(KEY)
    return key is None or key.has(role)
