"""The shapes of what comes in and goes out, on HTTP, NDJSON and the WebSocket alike."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

STREAM_NAME = r"^[A-Za-z0-9_-]{1,64}$"

StreamName = Annotated[str, Field(pattern=STREAM_NAME, examples=["taxi"])]
EventId = Annotated[str, Field(min_length=1, max_length=128, examples=["a1"])]
Value: TypeAlias = FiniteFloat | None
"""A measurement; null is one that is missing."""
Channels = Annotated[dict[str, Value], Field(max_length=256, fail_fast=True)]
"""Measurements by channel. The first that is wrong ends the reading: ten thousand errors cost more than they tell."""
Symbol = Annotated[str, Field(min_length=1, max_length=16)]
"""A member of the alphabet of a stream of symbols."""
Targets = Annotated[dict[str, Value | Symbol], Field(max_length=256, fail_fast=True)]
"""Measurements or symbols by target."""
Said: TypeAlias = Value | dict[str, Value]
"""What is predicted of a target: its value; or a probability for each symbol."""


def _within_years(time: datetime) -> datetime:
    """A time whose year in UTC is from 1 to 9999: others have no form in ISO 8601 that every reader knows."""
    if not 1 < time.year < 9999:
        try:
            time.astimezone(UTC)
        except OverflowError:
            raise PydanticCustomError("time_range", "must be in the years 1 to 9999 of UTC") from None
    return time


Time = Annotated[AwareDatetime, AfterValidator(_within_years)]
"""A moment, with its offset from UTC."""


class Wire(BaseModel):
    """Strict: no field that is not known, no text for a number, no number for a truth value, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, ser_json_inf_nan="null")


class Event(Wire):
    """One observation. The prediction is made before `y` is looked at."""

    id: EventId | None = None
    """Makes the event safe to send again: it is learnt once and answered the same."""
    time: Time | None = Field(default=None, examples=["2026-01-01T00:00:00Z"])
    """When it was, with an offset from UTC."""
    y: Targets | None = Field(default=None, examples=[{"load": 41.5}])
    """Each target of the stream; null where the measurement is missing. A stream with an alphabet takes symbols.
    Without `y` the event, which needs an `id` then, is predicted now and waits for its label."""
    x: Channels | None = Field(default=None, examples=[{"promo": 1}])
    """Each input of the stream."""

    @property
    def values(self) -> Mapping[str, Value | str]:
        """`y`, or nothing."""
        return self.y or {}


class Truth(Wire):
    """The label of an event that was sent without one."""

    y: Targets = Field(examples=[{"load": 41.5}])
    """Each target of the stream, as in an event."""


class Label(Truth):
    """The same as a message of its own, among events."""

    label: EventId
    """Id of the event."""


class Question(Wire):
    """A message of the WebSocket: where the stream is, after everything sent before."""

    ask: Literal["version"]


class Outcome(Wire):
    """What the learner says about an event."""

    id: EventId | None = None
    version: int = Field(examples=[17])
    """Events learnt, this one included."""
    prediction: dict[str, Said]
    """Made before `y` was used; null until a target has been seen. Of symbols: the probability of each."""
    lower: dict[str, Value]
    """Lower end of the 90 % interval; null for symbols."""
    upper: dict[str, Value]
    """Upper end of the 90 % interval."""
    loss: Value
    """Squared error over the mean square of the target's changes so far, mean over the targets; bits for symbols."""
    baseline_loss: Value
    """The same for persistence, the last value as prediction; for symbols, of their frequencies so far."""
    anomaly: Value
    """From 0 to 1: how unusual the error is among recent ones."""
    next: dict[str, Said] | None
    """Forecast of the next `y`; null for a stream with inputs, whose future it does not know."""
    pending: bool = False
    """Whether the event is not learnt yet: it waits for its label, or behind one that does."""


class Seen(Outcome):
    """An outcome as watchers get it: with the event's time and measurements."""

    id: EventId | None = None
    """Id of the event; null also where the outcome was read back from the log, which keeps no ids."""

    time: AwareDatetime | None
    """When the event was; null where it did not say."""
    y: dict[str, Value | Symbol]
    """What was measured; null where it is missing."""


class ForecastRequest(Wire):
    """Future inputs, one object a step."""

    x: list[Channels] = Field(min_length=1, fail_fast=True)


class Step(Wire):
    """A forecast of one step ahead."""

    mean: dict[str, Said]
    lower: dict[str, Value]
    upper: dict[str, Value]


class Forecast(Wire):
    """Forecasts of the steps after `version` and what is pending, nearest first."""

    version: int
    """Events learnt."""
    pending: int = 0
    """Events that wait for their labels, or behind one that does: the first step comes after them."""
    steps: list[Step]
    stale: bool = False
    """Whether the store did not answer: there may be newer events than `version`, learnt elsewhere or pending."""


class RecentStatus(Wire):
    """How the stream was predicted lately: means over the newest events that this replica has learnt or replayed."""

    events: int
    """How many; at most 1000."""
    loss: float | None
    baseline_loss: float | None
    skill: float | None
    """1 - √(loss/baseline_loss): 0 is persistence, 1 is perfect."""
    coverage: float | None
    """Share of the measurements inside their 90 % interval."""
    drift: bool
    """Whether the newest losses are clearly above those before."""


class StreamStatus(Wire):
    """A stream as it is now."""

    name: str
    version: int
    """Events learnt."""
    config: dict[str, Any]
    fingerprint: str
    """SHA-256 of the configuration."""
    digest: str
    """SHA-256 of the learner's complete state."""
    parameters: int
    """Recurrent parameters."""
    state_bytes: int
    """Size of the complete state."""
    pending: int
    """Events that wait for their labels, or behind one that does."""
    checkpoint: int
    """Version of the newest checkpoint; what came later is in the log."""
    update_seconds: float | None
    """What learning one event takes, a running mean; null until this replica has learnt one."""
    recent: RecentStatus


class SnapshotRequest(Wire):
    """A learner to keep."""

    name: StreamName | None = None
    """By default `v<version>`."""


class SnapshotStatus(Wire):
    """A learner that is kept under a name."""

    name: str
    version: int
    """Events that it has learnt."""
    created: float
    """Seconds since the epoch."""


class SnapshotList(Wire):
    """The snapshots of a stream, the oldest first."""

    snapshots: list[SnapshotStatus]


class CloneRequest(Wire):
    """A stream to make from another."""

    name: StreamName
    config: dict[str, Any] = Field(default={}, examples=[{"learning_rate": 0.003}])
    """Settings that differ."""


class Diagnostics(Wire):
    """The learner's gradient of its newest event beside the exact one (see model.diagnose)."""

    version: int
    events: int
    """Newest events that were read for it."""
    samples: int
    """Draws of the signs."""
    bias_z: float | None
    """About 1 for an unbiased estimate; null for one that is biased and has no noise."""
    squared_error: float
    """Relative to the exact gradient's square."""
    cosine: float
    """Mean cosine of the angle to the exact gradient."""


class StreamHead(Wire):
    """What is known of a stream without loading its learner."""

    name: str
    version: int
    """Events learnt."""
    targets: list[str]


class StreamList(Wire):
    """The streams of a store."""

    streams: list[str]
    """Their names."""
    heads: list[StreamHead] | None = None
    """The same streams with a little more, where that was asked for."""
    next: str | None = None
    """Where there are more: `after` of the next page."""


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:nobacktrack:problem:unknown-stream"])
    title: str
    status: int
    detail: str


def number(said: Said | Symbol) -> float | None:
    """A measurement or the prediction of one; None where it is missing, or about symbols."""
    return None if said is None or isinstance(said, str | dict) else said


# Where users import these from, in tracebacks and in help(). Not in the class bodies: pydantic reads the source there.
for _public in (Event, Outcome, Problem, StreamHead, StreamStatus):
    _public.__module__ = __name__.partition(".")[0]
