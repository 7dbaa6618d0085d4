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
"""Measurements by channel. Reading ends at the first wrong one: building ten thousand errors would cost too much."""
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
    """Strict: no unknown field, no text for a number, no number for a truth value, no NaN."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, ser_json_inf_nan="null", use_attribute_docstrings=True
    )


class Event(Wire):
    """One observation. The prediction is made before `y` is looked at."""

    id: EventId | None = None
    """Makes the event safe to send again: it is learnt once, and answered the same each time."""
    time: Time | None = Field(default=None, examples=["2026-01-01T00:00:00Z"])
    """When the event happened, with an offset from UTC; in the years 1 to 9999."""
    y: Targets | None = Field(default=None, examples=[{"load": 41.5}])
    """Each target of the stream; null where the measurement is missing. A stream with an alphabet takes symbols.

    An event without `y` needs an `id`: it is predicted now and waits for its label."""
    x: Channels | None = Field(default=None, examples=[{"promo": 1}])
    """Each input of the stream."""

    @property
    def values(self) -> Mapping[str, Value | str]:
        """`y`, or an empty mapping."""
        return self.y or {}


class Truth(Wire):
    """The label of an event that was sent without one."""

    y: Targets = Field(examples=[{"load": 41.5}])
    """Each target of the stream, as in an event."""


class Label(Truth):
    """The label of an event as a message of its own, among events."""

    label: EventId
    """Id of the event."""


class Question(Wire):
    """A message of the WebSocket that asks for the stream's version, after everything sent before."""

    ask: Literal["version"]
    """What is asked."""


class Outcome(Wire):
    """The learner's answer to an event."""

    id: EventId | None = None
    """Id of the event, where it has one."""
    version: int = Field(examples=[17])
    """Events learnt, this one included."""
    prediction: dict[str, Said]
    """Predictions of the targets, made before `y` was used; null until a target has been seen. For symbols, the
    probability of each."""
    lower: dict[str, Value]
    """Lower end of the 90 % interval of each target; null for symbols."""
    upper: dict[str, Value]
    """Upper end of the 90 % interval of each target; null for symbols."""
    loss: Value
    """Squared error over the mean square of the target's changes so far, mean over the targets; bits for symbols."""
    baseline_loss: Value
    """The loss of a baseline: of the last value as prediction; for symbols, of their frequencies so far."""
    anomaly: Value
    """From 0 to 1: how unusual the error is among recent ones."""
    next: dict[str, Said] | None
    """Forecast of the next `y`; null for a stream with inputs, because the next inputs are unknown."""
    pending: bool = False
    """Whether the event is not learnt yet: it waits for its label, or for an earlier event that waits for its own."""


class Seen(Outcome):
    """An outcome as watchers get it: with the event's time and measurements."""

    id: EventId | None = None
    """Id of the event; null also where the outcome was read back from the log, which keeps no ids."""

    time: AwareDatetime | None
    """When the event happened; null where that was not sent."""
    y: dict[str, Value | Symbol]
    """The measurement of each target; null where it is missing."""


class ForecastRequest(Wire):
    """A request for a forecast of a stream with inputs."""

    x: list[Channels] = Field(min_length=1, fail_fast=True)
    """Future inputs, one object a step, nearest first."""


class Step(Wire):
    """The forecast of one step."""

    mean: dict[str, Said]
    """The expected value of each target; for symbols, the probability of each."""
    lower: dict[str, Value]
    """Lower end of the 90 % interval of each target; null for symbols."""
    upper: dict[str, Value]
    """Upper end of the 90 % interval of each target; null for symbols."""


class Forecast(Wire):
    """Forecasts of the steps after `version` and the pending events."""

    version: int
    """Events learnt."""
    pending: int = 0
    """Events that wait for their labels, or behind one that does: the first step comes after them."""
    steps: list[Step]
    """One forecast a step, nearest first."""
    stale: bool = False
    """Whether the store did not answer: there may be newer events than `version`, learnt elsewhere or pending."""


class RecentStatus(Wire):
    """How well the stream was predicted lately, by the newest events that this replica has learnt or replayed."""

    events: int
    """How many events that are; at most 1000."""
    loss: float | None
    """Mean loss of these events."""
    baseline_loss: float | None
    """Mean loss of the baseline on these events."""
    skill: float | None
    """1 - √(loss/baseline_loss): 0 is persistence, 1 is perfect."""
    coverage: float | None
    """Share of the measurements inside their 90 % interval."""
    drift: bool
    """Whether the newest losses are clearly above the ones before."""


class StreamStatus(Wire):
    """A stream as it is now."""

    name: str
    """Name of the stream."""
    version: int
    """Events learnt."""
    config: dict[str, Any]
    """Configuration of the learner, with all defaults."""
    fingerprint: str
    """SHA-256 of the configuration."""
    digest: str
    """SHA-256 of the learner's complete state."""
    parameters: int
    """Number of recurrent parameters."""
    state_bytes: int
    """Size of the learner's complete state in bytes."""
    pending: int
    """Events that wait for their labels, or behind one that does."""
    checkpoint: int
    """Version of the newest checkpoint; later events are in the log."""
    update_seconds: float | None
    """Time to learn one event, a running mean; null until this replica has learnt one."""
    recent: RecentStatus
    """How well the stream was predicted lately."""


class SnapshotRequest(Wire):
    """A request to keep the learner as it is now."""

    name: StreamName | None = None
    """Name of the snapshot; by default `v<version>`."""


class SnapshotStatus(Wire):
    """A learner that is kept under a name."""

    name: str
    """Name of the snapshot."""
    version: int
    """Events that the learner had learnt."""
    created: float
    """When the snapshot was taken, in seconds since the epoch."""


class SnapshotList(Wire):
    """The snapshots of a stream."""

    snapshots: list[SnapshotStatus]
    """All of them, the oldest first."""


class CloneRequest(Wire):
    """A request to make a stream from another."""

    name: StreamName
    """Name of the new stream."""
    config: dict[str, Any] = Field(default={}, examples=[{"learning_rate": 0.003}])
    """Fields of the configuration that differ."""


class Diagnostics(Wire):
    """The learner's estimate of its newest gradient, compared with the exact one (see model.diagnose)."""

    version: int
    """Events learnt."""
    events: int
    """How many of the newest events were read."""
    samples: int
    """How many times the random signs were drawn."""
    bias_z: float | None
    """Bias in standard errors: about 1 for an unbiased estimate; null for a biased one without noise."""
    squared_error: float
    """Mean squared error of the estimate, relative to the square of the exact gradient."""
    cosine: float
    """Mean cosine of the angle to the exact gradient."""


class StreamHead(Wire):
    """What the store says of a stream; its learner is not loaded."""

    name: str
    """Name of the stream."""
    version: int
    """Events learnt."""
    targets: list[str]
    """Names of the channels that the stream predicts."""


class StreamList(Wire):
    """A page of the streams of a store."""

    streams: list[str]
    """Names of the streams, in order."""
    heads: list[StreamHead] | None = None
    """The same streams with versions and targets, with `detail`."""
    next: str | None = None
    """`after` of the next page, where there is one."""


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str = Field(examples=["urn:nobacktrack:problem:unknown-stream"])
    """Kind of the error; clients may compare it."""
    title: str
    """The kind of the error in words."""
    status: int
    """HTTP status."""
    detail: str
    """What is wrong here and what to do."""


def number(said: Said | Symbol) -> float | None:
    """A measurement or the prediction of one; None where it is missing, or about symbols."""
    return None if said is None or isinstance(said, str | dict) else said


# Where users import these from, in tracebacks and in help(). Not in the class bodies: pydantic reads the source there.
for _public in (Event, Outcome, Problem, StreamHead, StreamStatus):
    _public.__module__ = __name__.partition(".")[0]
