"""The usual change of each target at each phase of a season: the mean change in every slot of the day, week, ….

A season is cut into SLOTS slots of equal length, and every change, in units of the root mean square of the changes so
far, moves the mean of the slot in which it came:

    b ← b + RATE·(change - b)

A seasonal component as in P. Winters, *Forecasting sales by exponentially weighted moving averages* (1960), of the
changes and not of the level, kept by time and not by counting events: events may be missing, or come at any interval.
The network and the autoregression read the value of the slot of the event to come; both learn a weight for it.
"""

import math

from ..jit import compiled
from ..numerics.scaling import CLIP, clip
from ..types import Array, Float64

SLOTS = 672
"""Quarters of an hour in a week; slots of a day are two minutes long."""
RATE = 0.3
"""Weight of the newest change of a slot: the newest three or so seasons count."""


@compiled
def slot(time: float, period: float) -> int:
    """The slot around a time: times that are multiples of a slot's length are in the middle of one."""
    turns = time / period
    return math.floor((turns - math.floor(turns)) * SLOTS + 0.5) % SLOTS


@compiled
def write_features(z: Array, place: int, time: float, profile: Float64, seasons: Float64) -> None:
    """Write the usual changes at a time from z[place] on, season by season of each target; 0 where there is no time.

    Shapes profile (q, s, SLOTS), seasons (s, 2) with the period in seconds first.
    """
    for i in range(profile.shape[0]):
        for season in range(profile.shape[1]):
            z[place] = 0.0 if math.isnan(time) else profile[i, season, slot(time, seasons[season, 0])]
            place += 1


@compiled
def mean_change(slots: Float64) -> float:
    """Mean over the slots (SLOTS,) that have had a change: the drift of a whole season per event; 0 without changes."""
    total, count = 0.0, 0
    for change in slots:
        if change != 0.0:
            total += change
            count += 1
    return total / count if count > 0 else 0.0


@compiled
def update(profile: Float64, time: float, change: float, seasons: Float64) -> None:
    """Move the slots (s, SLOTS) of one target towards a change that came at a time."""
    if math.isnan(time):
        return
    for season in range(profile.shape[0]):
        place = slot(time, seasons[season, 0])
        profile[season, place] += RATE * (clip(change, CLIP) - profile[season, place])
