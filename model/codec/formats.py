"""Migrates learners of older formats to the newest; `codec` reads them through this module.

Format 1 had neither the mixture of experts nor the usual changes of the seasons as inputs of the network. A learner of
format 1 keeps its behaviour: `lags` is 0, so the network alone predicts, and its new inputs begin with weights of 0, so
that it predicts what it would have predicted.
"""

from collections.abc import Mapping

import numpy as np

from ..config import Config
from ..initial_state import initial
from ..network.readout import PRIOR
from ..state import State, arrays
from ..types import Array

NEWEST = 3

_ROWS: dict[str, tuple[int, ...]] = {
    "network.W": (0,), "network.m1": (0,), "network.m2": (0,), "tangent.w": (0,), "tangent.S": (0,), "tangent.J": (1,),
    "readout.V": (1,), "readout.M1": (1,), "readout.M2": (1,), "readout.P": (0, 1), "readout.ring_phi": (1,),
    "readout.ring_kappa": (1,),
}  # fmt: skip
"""Axes that count the inputs of the network."""
_WEIGHTS = {"experts.regret", "experts.spread"}
"""Arrays that have a column for each expert: one that an older format did not know begins without weight."""
_HEADS = {"readout.M1", "readout.M2", "readout.powers"}
"""Arrays that format 1 had for the only head of a stream of symbols."""


def stored_config(values: Mapping[str, object]) -> Config:
    """The configuration that `Config.to_dict` of this or an older version has written. Raises ConfigError.

    A field that the older version did not have gets the value that reproduces its behaviour, not today's default.
    """
    return Config.from_dict({"lags": 0, "readout": "rls", **values})


def state(config: Config, kept: Mapping[str, Array], written: int) -> State | None:
    """The state of a learner whose arrays are `kept`; None where they are not those of its configuration."""
    fresh = initial(config)
    for name, array in arrays(fresh):
        found = kept.get(name)
        if found is not None and written == 1:
            found = _migrated(name, found, array)
        if found is not None and written < NEWEST and name in _WEIGHTS and found.shape[0] == array.shape[0]:
            found = np.pad(found, ((0, 0), (0, array.shape[1] - found.shape[1])))
        if found is None:
            if written == NEWEST:
                return None
            continue
        if found.shape != array.shape or found.dtype != array.dtype:
            return None
        array[...] = found
    return fresh


def _migrated(name: str, found: Array, array: Array) -> Array:
    """An array of format 1 in the newest shape: adds a head's axis, inputs with weights of 0, a third statistic."""
    if not found.size and not array.size:
        return array
    if name in _HEADS and found.ndim + 1 == array.ndim:
        found = found[None] if found.size and array.shape[0] == 1 else array
    if name == "tangent.trust" and found.shape == (2,):
        return np.append(found, 0.0)
    for axis in _ROWS.get(name, ()):
        if found.ndim == array.ndim and found.size and found.shape[axis] < array.shape[axis]:
            missing = array.shape[axis] - found.shape[axis]
            found = np.insert(found, [found.shape[axis] - 1] * missing, 0, axis=axis)
    if name == "readout.P" and found.shape == array.shape and found.size:
        new = np.flatnonzero(np.diagonal(found) == 0.0)
        found[new, new] = PRIOR
    return found
