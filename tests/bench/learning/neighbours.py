"""Each default beside its neighbours, one field varied at a time: is the default the best of its surroundings?"""

from collections.abc import Mapping

from nobacktrack.model import Config

DEFAULTS = Config(targets=("y",))

VARIED: Mapping[str, tuple[object, ...]] = {
    "units": (32, 128),
    "time_constants": ((1.0, 10.0), (1.0, 100.0)),
    "gain": (0.6, 1.1),
    "learning_rate": (3e-4, 3e-3),
    "learning_rate_decay": (0.03, 0.3),
    "forgetting": (0.999, 0.9998),
    "calendar": ((), ("day",), ("hour", "day", "week")),
    "lags": (0, 24, 96),
    "cell": ("gru",),
    "readout": ("gradient",),
}
"""Values beside the default of each field."""


def subjects() -> dict[str, dict[str, object]]:
    """The defaults, and every neighbour by a name such as `units = 32`."""
    found: dict[str, dict[str, object]] = {"defaults": {}}
    for field, values in VARIED.items():
        for value in values:
            found[name(field, value)] = {field: value}
    return found


def name(field: str, value: object) -> str:
    """Such as `calendar = day, week`."""
    shown = (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
    return f"{field} = {shown}"
