"""Online learning for time series: a client, a service, and the learner itself.

    from nobacktrack import Client, AsyncClient, Event     # talk to a service; needs nothing else
    from nobacktrack import Learner, Config                # learn in this process; needs nobacktrack[learner]

Each name is loaded when it is first used, so that the client does not load numpy and numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import (
        Config,
        ConfigError,
        DamagedState,
        Forecast,
        Learner,
        OtherFormat,
        Outcomes,
        from_bytes,
        to_bytes,
    )
    from .service.client import Answer, ApiError, AsyncClient, Client, ClientError, Connection, Unreachable, connect
    from .service.schemas import Event, Outcome, Problem, StreamHead, StreamStatus

__all__ = [
    "Answer",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Config",
    "ConfigError",
    "Connection",
    "DamagedState",
    "Event",
    "Forecast",
    "Learner",
    "OtherFormat",
    "Outcome",
    "Outcomes",
    "Problem",
    "StreamHead",
    "StreamStatus",
    "Unreachable",
    "connect",
    "from_bytes",
    "to_bytes",
]

_CLIENT = ("Answer", "ApiError", "AsyncClient", "Client", "ClientError", "Connection", "Unreachable", "connect")
_SCHEMAS = ("Event", "Outcome", "Problem", "StreamHead", "StreamStatus")
_HOMES = (
    dict.fromkeys(__all__, ".model")
    | dict.fromkeys(_CLIENT, ".service.client")
    | dict.fromkeys(_SCHEMAS, ".service.schemas")
)
"""The module that each public name is loaded from."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'nobacktrack' has no attribute {name!r}")
    try:
        value: object = getattr(import_module(_HOMES[name], __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"numpy", "numba"}:
            raise ImportError(
                f"nobacktrack.{name} needs {error.name}: pip install 'nobacktrack[learner]', "
                "or pip install 'nobacktrack[server]' for the service too"
            ) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
