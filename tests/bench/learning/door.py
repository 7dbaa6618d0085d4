"""The package as the benchmark uses it: what a learner is made of, and where its forecasts are."""

import numpy as np
import numpy.typing as npt

from nobacktrack.model import Config, ConfigError, Learner, Outcomes
from nobacktrack.model.types import Float64
from tests.bench.learning.tasks import NotAvailable

CHUNK = 50_000
"""Events a call: the outcomes of a long stream need not all be in memory."""


def learner(**fields: object) -> Learner:
    """A learner; NotAvailable for a configuration that this version of the package cannot have."""
    try:
        return Learner(Config(**fields))  # type: ignore[arg-type]
    except (TypeError, ConfigError) as error:
        raise NotAvailable(str(error)) from error


def losses(subject: Learner, Y: npt.ArrayLike) -> Float64:
    """Loss (T,) of every event of Y (T, q), learnt in order."""
    matrix = np.asarray(Y, np.float64)
    return np.concatenate([subject.observe_many(matrix[at : at + CHUNK]).loss for at in range(0, len(matrix), CHUNK)])


def ahead(outcomes: Outcomes, horizon: int) -> Float64:
    """(T, q): the forecast of y_{t+h} that was made when y_t had been learnt."""
    return np.asarray(outcomes.ahead[:, horizon - 1])
