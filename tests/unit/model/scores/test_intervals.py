"""The window of errors against a sorted list, and the adaptive level."""

import bisect
from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nobacktrack.model.scores import intervals

ERRORS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0]) | st.floats(0, 1e6), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(ERRORS, st.integers(1, 8), st.floats(0, 1))
def test_window_is_the_newest_errors_in_order(errors: list[float], window: int, level: float) -> None:
    ring, ordered, kept = np.zeros(window), np.zeros(window), deque[float](maxlen=window)
    for count, error in enumerate(errors):
        before = sorted(kept)
        assert intervals.position(ordered, len(before), error) == bisect.bisect_left(before, error)
        intervals.insert(ring, ordered, count, error)
        kept.append(error)
        assert ordered[: len(kept)].tolist() == sorted(kept)
        rank = min(len(kept), max(1, int(np.ceil((1 - level) * (len(kept) + 1)))))
        assert intervals.half_width(ordered, count + 1, level) == sorted(kept)[rank - 1]


def test_level_settles_where_the_misses_are_a_tenth() -> None:
    """The sum of the steps telescopes: |share of misses - α| <= (range of the level)/(γT), on any sequence."""
    level, misses, T = intervals.MISCOVERAGE, 0, 20_000
    for t in range(T):
        outside = level > 0.3 + 0.2 * np.sin(t / 500)
        misses += outside
        level = intervals.adapt(level, outside)
        assert 0.0 < level < 1.0
    assert abs(misses / T - intervals.MISCOVERAGE) <= 1 / (intervals.ADAPTATION * T)
