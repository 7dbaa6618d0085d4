"""The learning core: recurrent networks trained forward in time. No input or output, no clock, no environment.

    config  = model.Config(targets=("load",))
    learner = model.Learner(config)
    outcome = learner.observe([41.5])
    ahead   = learner.forecast(24)
    learner = model.from_bytes(model.to_bytes(learner))
"""

from model.codec import DamagedState, OtherFormat, from_bytes, to_bytes
from model.config import Config, ConfigError
from model.diagnosis import Diagnosis, diagnose
from model.formats import stored_config
from model.learner import Forecast, Learner
from model.outcome import SHRUNK, SKIPPED, Outcomes
from model.scaling import LARGEST
from model.warm import warm_up

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
