"""Compile every kernel before the first event needs it."""

from .config import Config, DType
from .learner import Learner


def warm_up(dtypes: tuple[DType, ...] = ("float32", "float64")) -> None:
    """Compile every kernel for each precision of `dtypes` by running it once.

    With a filled cache this takes about a second; with an empty one it compiles everything.
    """
    for dtype in dtypes:
        learner = Learner(Config(targets=("y",), units=1, dtype=dtype))
        learner.observe([0.0])
        learner.forecast(1)
