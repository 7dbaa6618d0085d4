"""A service that says that it is ready has compiled what a replay of the log needs."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
from nobacktrack import model
from nobacktrack.model.event import observe as step
from nobacktrack.service.codec import segments as log

model.warm_up(("float32",))
ready = len(step.observe.signatures)
events = log.decode(log.encode(log.Events(1, np.zeros(2), np.ones((2, 1)), np.zeros((2, 0))), 0))
model.Learner(model.Config(targets=("y",), units=2)).observe_many(events.Y, events.X, events.times)
print(len(step.observe.signatures) - ready)
"""


def test_a_replay_compiles_nothing() -> None:
    """In a process of its own: what others have compiled does not count."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 0
