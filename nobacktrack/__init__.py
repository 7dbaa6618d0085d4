"""Online learning for time series: a client, a service, and the learner itself.

    from nobacktrack import Client, AsyncClient, Event     # talk to a service; needs nothing else
    from nobacktrack import Learner, Config                # learn in this process; needs nobacktrack[learner]

Each name is loaded when it is first used, so that the client does not load numpy and numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nobacktrack.model import Config, ConfigError, Forecast, Learner, Outcomes, from_bytes, to_bytes
    from nobacktrack.service.client.aio import AsyncClient
    from nobacktrack.service.client.errors import ClientError
    from nobacktrack.service.client.sync import Client
    from nobacktrack.service.schemas import Event, Outcome

_HOMES = {
    "AsyncClient": "nobacktrack.service.client.aio",
    "Client": "nobacktrack.service.client.sync",
    "ClientError": "nobacktrack.service.client.errors",
    "Config": "nobacktrack.model",
    "ConfigError": "nobacktrack.model",
    "Event": "nobacktrack.service.schemas",
    "Forecast": "nobacktrack.model",
    "Learner": "nobacktrack.model",
    "Outcome": "nobacktrack.service.schemas",
    "Outcomes": "nobacktrack.model",
    "from_bytes": "nobacktrack.model",
    "to_bytes": "nobacktrack.model",
}

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Config",
    "ConfigError",
    "Event",
    "Forecast",
    "Learner",
    "Outcome",
    "Outcomes",
    "from_bytes",
    "to_bytes",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'nobacktrack' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
