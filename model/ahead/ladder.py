"""The ladder of horizons: forecasts of any step share what is learnt at a few rungs.

Rung g serves the steps h_{g-1} < h ≤ h_g. Predictions of rung g are made at every ⌈h_g/SLOTS⌉-th event, each for
another of its steps in turn, and judged when their value comes: far rungs cost as little as near ones, and of forecasts
that overlap, which err together, fewer are counted.
"""

import numpy as np

from ..types import Int64

RUNGS = np.array([1, 2, 3, 5, 8, 13, 19, 29, 43, 61, 89, 131, 191, 281])
"""(R,): h_g, the last step of each rung."""
SLOTS = 8
"""Predictions of a rung that may wait for their values."""
HEAD_SLOTS = 4
"""Predictions of a direct head that may wait for their values."""
RING = 1024
"""Newest values that are kept; a power of two, more than two weeks of hours."""
PERIODS = 400
"""Candidate periods are shorter than this many events."""
LONGEST_GAP = 512
"""Missing values in a row for which the phase of a season goes on."""
CHANGES = 24
"""Newest changes that a head of changes reads."""
FEATURES_1 = CHANGES + 2
"""Features of the heads of changes."""
FEATURES_2 = 14
"""Features of the heads of seasonal deviations."""
LEVELS = np.array([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99])
"""(K,): quantiles that are tracked for each rung."""
LOWER, UPPER = 2, 8
"""Places of the ends of the 90 % interval in LEVELS."""

(
    PERSISTENCE, SEASON, SEASON_2, SHIFTED, LONG_LEVEL, SHORT_LEVEL, LINE, DRIFT, SEASON_MEAN, HEAD_2, HEAD_1,
    SHIFTED_2, USUAL, USUAL_2,
) = range(14)  # fmt: skip
EXPERTS = 14
"""E: number of the experts above; see `experts`."""

# Places in `Ahead.levels` (L,).
(
    LONG, SHORT, LINE_LEVEL, LINE_SLOPE, MEAN_CHANGE, FAST_CHANGE, SCALE, DEVIATION, DEVIATION_SHORT, DEVIATION_MIDDLE,
    DEVIATION_LONG, DEVIATION_2, ACTIVE_CHANGE,
) = range(13)  # fmt: skip
# Places in `Ahead.counts` (4,).
VALUES, PERIOD, PERIOD_2, GAP = range(4)
# Places in `Ahead.judged` (R, 7).
LOSS, JUDGED, PRODUCT, PRODUCT_SQUARE, LOSS_OF_LAST, LOSS_OF_MIXTURE, ERROR = range(7)


def spacing(rungs: Int64, slots: int) -> Int64:
    """(R,): events between two predictions of a rung, so that at most `slots` of them wait."""
    return np.maximum(1, -(-rungs // slots)).astype(np.int64)


EVERY = spacing(RUNGS, SLOTS)
HEAD_EVERY = spacing(RUNGS, HEAD_SLOTS)
