"""The learning core: recurrent networks trained forward in time. It does no input or output and reads no clock.

config  = model.Config(targets=("load",))
learner = model.Learner(config)
outcome = learner.observe([41.5])
ahead   = learner.forecast(24)
learner = model.from_bytes(model.to_bytes(learner))
"""

from .codec.codec import DamagedState, OtherFormat, from_bytes, to_bytes
from .codec.formats import stored_config
from .config import Config, ConfigError
from .diagnosis import Diagnosis, diagnose
from .interface import SHRUNK, SKIPPED, Outcomes
from .learner import Forecast, Learner
from .numerics.scaling import LARGEST
from .warm_up import warm_up

__all__ = [
    "LARGEST",
    "SHRUNK",
    "SKIPPED",
    "Config",
    "ConfigError",
    "DamagedState",
    "Diagnosis",
    "Forecast",
    "Learner",
    "OtherFormat",
    "Outcomes",
    "diagnose",
    "from_bytes",
    "stored_config",
    "to_bytes",
    "warm_up",
]

# The package that users import these from, for tracebacks and help().
for _public in (Config, ConfigError, DamagedState, Forecast, Learner, OtherFormat, Outcomes, from_bytes, to_bytes):
    _public.__module__ = __name__.partition(".")[0]
