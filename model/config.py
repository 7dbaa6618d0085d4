"""The configuration of a learner: every choice that its results depend on, validated, with a fingerprint."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

NAME = re.compile(r"[A-Za-z0-9_.:/ -]{1,64}")
MAX_CHANNELS = 256
MAX_UNITS = 4096
MAX_RTRL_PARAMETERS = 2_000_000
MAX_RANK = 64
MAX_HORIZONS = 256
MAX_SYMBOLS = 256
MAX_LAGS = 512

PERIODS = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}
"""Length of each season in seconds; the year is the mean Gregorian year."""
HARMONICS = {"hour": 1, "day": 4, "week": 2, "year": 1}
"""Number of sine and cosine pairs of each season. The day has four, because the shape of a day is far from a sine."""
GATES = {"leaky": 1, "gru": 4}
"""Number of gates G of each cell."""

NUMBERS = (
    ("gain", 0.0, 10.0),
    ("learning_rate", 0.0, 1.0),
    ("learning_rate_decay", 0.0, 1.0),
    ("forgetting", 0.9, 1.0),
)
"""Fields that are real numbers: (name, least, largest)."""

Cell = Literal["leaky", "gru"]
Estimator = Literal["nobacktrack", "nobacktrack-traces", "uoro", "rtrl", "frozen"]
Optimiser = Literal["sgd", "adam", "kalman"]
Season = Literal["hour", "day", "week", "year"]
Readout = Literal["rls", "gradient"]
DType = Literal["float32", "float64"]

CHOICES = (
    ("cell", Cell), ("estimator", Estimator), ("optimiser", Optimiser), ("readout", Readout), ("dtype", DType),
)  # fmt: skip
"""Fields whose value is one of a few words: (name, type that lists the words)."""


class ConfigError(ValueError):
    """An invalid configuration; the message names the field and says which values it may have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Configuration of a learner; only `targets` is required.

    Two learners with equal configurations that see the same events are equal bit for bit. Raises ConfigError for a
    value out of its range.
    """

    __pydantic_config__: ClassVar[dict[str, bool]] = {"use_attribute_docstrings": True}
    """Tells pydantic to take the docstrings of the fields for the descriptions of a JSON schema."""

    targets: tuple[str, ...]
    """Names of the channels to predict: 1 to 256 different names of 1 to 64 letters, digits, spaces and `_ . : / -`."""
    inputs: tuple[str, ...] = ()
    """Names of the channels whose values are known before the targets of the same event; 0 to 256 names, spelt as those
    of the targets and different from them."""
    alphabet: tuple[str, ...] | None = None
    """Symbols that the only target takes, for a stream of symbols: 2 to 256 different texts of 1 to 16 characters. The
    value of an event is then the index of its symbol, and a prediction is the probability of each symbol. Null, the
    default: the targets are numbers."""
    horizons: int = 1
    """Number of steps, 1 to 256, that `Outcomes.ahead` has, and of linear readouts that the network trains. Forecasts
    do not depend on this number: every step of a forecast is predicted directly. With an alphabet it is 1."""
    calendar: tuple[Season, ...] = ("day", "week")
    """Seasons that the network reads from the time of an event: any of `hour`, `day`, `week`, `year`. For each it reads
    the phase and the usual change of each target at that phase.

    In tests/bench/LEARNING.md the week lowers the error by 2 % on NAB and both defaults by 4 %; on ETTh1 they lower the
    squared error by 8 %."""
    lags: int = 48
    """Number of newest changes, 0 to 512, that a linear autoregression beside the network reads. Its prediction, the
    network's and persistence are mixed with weights that are learnt online; with 0 the network predicts alone.

    In tests/bench/LEARNING.md 0 is worse by 0.6 % on NAB and by 1.2 % on ETTh1; 24 and 96 differ from the default by
    less than 0.3 %. With an alphabet it is 0."""
    cell: Cell = "leaky"
    """Recurrent cell: `leaky`, h' = (1-α) h + α tanh(a), or `gru`. A GRU counts and remembers symbols better and has
    four times the parameters; in tests/bench/LEARNING.md it is better by 0.4 % on NAB and by 2 % on ETTh1."""
    units: int = 64
    """Number of hidden units n, 1 to 4096. The cost of an event is quadratic in n. 32 and 128 units are within 0.5 % of
    the default in tests/bench/LEARNING.md."""
    time_constants: tuple[float, float] = (1.0, 30.0)
    """Shortest and longest initial time constant τ of the units, in events, each from 1 to 1e6; the units are spread
    between them on a logarithmic scale. For `leaky`, α = 1/τ. A longest one of 10 or 100 is within 0.6 % of the default
    in tests/bench/LEARNING.md."""
    gain: float = 0.9
    """Scale of the initial recurrent weights, 0 to 10; it is about their spectral radius. The default is just below 1,
    where the state neither dies out at once nor explodes. From 0.6 to 1.1 it hardly matters in
    tests/bench/LEARNING.md."""
    estimator: Estimator = "nobacktrack-traces"
    """How the gradient of the recurrent weights is estimated. `nobacktrack` and `uoro` are unbiased and noisy; `rtrl`
    is exact, for small networks; `nobacktrack-traces` keeps each unit's influence on itself exactly and weighs the
    rest by `residual_weight`; `frozen` leaves the recurrent weights as they are.

    The default has the least error one step ahead in tests/bench/LEARNING.md."""
    rank: int = 1
    """Number of independent rank-one tangents, 1 to 64, whose gradients are averaged. The variance of the gradient
    falls as 1/rank and the cost grows with rank; 1 is the cheapest."""
    residual_weight: float | Literal["auto"] = 0.0
    """Weight λ, 0 to 1, of the influence that passes through other units, for `nobacktrack-traces`. 1 is unbiased; 0,
    the default, is biased, has no noise and needs no tangent. `auto` estimates λ online and needs a rank of at least
    2: it is near 1 where the gradient must pass through other units, but on a^n b^n it is not as good as 0."""
    optimiser: Optimiser = "adam"
    """How the recurrent weights follow the gradient: `adam`, plain `sgd`, or `kalman`, the quasi-diagonal filter of
    Kalman NoBackTrack. Adam, the default, does not depend on the scale of the gradient."""
    learning_rate: float = 1e-3
    """Initial step size η0 of the recurrent weights, 0 to 1; step t has η_t = η0/(1 + κ√t). Adam's steps shrink further
    where the errors are small (`step_sizes.error_scale`). The default is Adam's own."""
    learning_rate_decay: float = 0.1
    """Decay κ of the step size, 0 to 1. In tests/bench/LEARNING.md a third of it, or three times the learning rate, is
    worse by 0.2 % on NAB and better by 0.5 % on ETTh1; a change in the other direction does the opposite."""
    readout: Readout = "rls"
    """How the linear readout learns: `rls`, exact recursive least squares, whose cost is quadratic in the features; or
    `gradient`, Adam with the step size of the network, whose cost is linear. `gradient` is worse by 2 % on NAB and by
    4 % on ETTh1 in tests/bench/LEARNING.md. With an alphabet it is `gradient`."""
    forgetting: float = 0.9995
    """Forgetting factor λ, 0.9 to 1, of every recursive least squares and of the mixture: they average over about
    1/(1-λ) events. 0.999 and 0.9998 are no better than the default in tests/bench/LEARNING.md."""
    seed: int = 0
    """Seed of every random draw, 0 to 2^63 - 1."""
    dtype: DType = "float32"
    """Precision of the recurrent weights and their tangents: `float32` or `float64`; the readout is always float64.
    float32, the default, halves the memory that an event has to read."""

    def __post_init__(self) -> None:
        # JSON gives lists, and whole numbers for floats; equal configurations must have equal fingerprints.
        for field in ("targets", "inputs", "alphabet", "calendar", "time_constants"):
            value = getattr(self, field)
            object.__setattr__(self, field, None if value is None else tuple(value))
        self._check_names()
        for season in self.calendar:
            if season not in get_args(Season):
                raise ConfigError(f"calendar may have {', '.join(get_args(Season))}")
        if len(set(self.calendar)) != len(self.calendar):
            raise ConfigError("calendar must name each season once")
        for field, kind in CHOICES:
            options = get_args(kind)
            if getattr(self, field) not in options:
                raise ConfigError(f"{field} must be one of {', '.join(options)}")
        if self.alphabet is not None:
            # Symbols have neither least squares nor changes; equal learners must have equal fingerprints.
            object.__setattr__(self, "readout", "gradient")
            object.__setattr__(self, "lags", 0)
        _check_integer("units", self.units, 1, MAX_UNITS)
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        _check_integer("rank", self.rank, 1, MAX_RANK)
        _check_integer("horizons", self.horizons, 1, MAX_HORIZONS)
        _check_integer("lags", self.lags, 0, MAX_LAGS)
        if self.residual_weight != "auto":
            _check_number("residual_weight", self.residual_weight, 0.0, 1.0)
            object.__setattr__(self, "residual_weight", float(self.residual_weight))
        elif self.rank < 2:
            raise ConfigError("residual_weight auto compares tangents: it needs a rank of at least 2")
        if len(self.time_constants) != 2:
            raise ConfigError("time_constants must be two numbers, the shortest and the longest")
        for value in self.time_constants:
            _check_number("time_constants", value, 1.0, 1e6)
        object.__setattr__(self, "time_constants", tuple(float(value) for value in self.time_constants))
        if self.time_constants[0] > self.time_constants[1]:
            raise ConfigError("time_constants must be in order, the shortest first")
        for field, low, high in NUMBERS:
            _check_number(field, getattr(self, field), low, high)
            object.__setattr__(self, field, float(getattr(self, field)))
        if self.estimator == "rtrl" and self.units * self.parameters > MAX_RTRL_PARAMETERS:
            raise ConfigError(
                f"rtrl keeps units x parameters = {self.units * self.parameters} numbers, at most "
                f"{MAX_RTRL_PARAMETERS}; use fewer units or the nobacktrack estimator"
            )

    def _check_names(self) -> None:
        if not self.targets:
            raise ConfigError("targets must name at least one channel")
        for field, names in (("targets", self.targets), ("inputs", self.inputs)):
            if len(names) > MAX_CHANNELS:
                raise ConfigError(f"{field} may name at most {MAX_CHANNELS} channels")
            if not all(_is_name(name) for name in names):
                raise ConfigError(
                    f"each of {field} must be 1 to 64 characters out of letters, digits, space and _ . : / -"
                )
        if len(set(self.targets + self.inputs)) != len(self.targets) + len(self.inputs):
            raise ConfigError("targets and inputs must have different names")

        if self.alphabet is not None:
            self._check_alphabet(self.alphabet)

    def _check_alphabet(self, symbols: tuple[str, ...]) -> None:
        if len(self.targets) != 1 or self.horizons != 1:
            raise ConfigError("with an alphabet there is one target and one horizon")
        if not 2 <= len(symbols) <= MAX_SYMBOLS or len(set(symbols)) != len(symbols):
            raise ConfigError(f"alphabet must have 2 to {MAX_SYMBOLS} different symbols")
        if not all(_is_symbol(symbol) for symbol in symbols):
            raise ConfigError("each symbol of alphabet must be text of 1 to 16 characters")

    @property
    def outputs(self) -> int:
        """o: how many numbers a prediction has, one for each target or for each symbol."""
        return len(self.targets) if self.alphabet is None else len(self.alphabet)

    @property
    def fed_back(self) -> int:
        """f: how many network inputs tell of the last event: level, change and missing flag of each target; or one
        number for each symbol and a missing flag."""
        return 3 * len(self.targets) if self.alphabet is None else len(self.alphabet) + 1

    @property
    def network_inputs(self) -> int:
        """m: all network inputs: `fed_back`, value and missing flag of each input, time since the last event,
        `seasonal`."""
        return self.fed_back + 2 * len(self.inputs) + 1 + self.seasonal

    @property
    def seasonal(self) -> int:
        """How many network inputs tell of the seasons: sine and cosine of each harmonic, and each numeric target's
        usual change."""
        usual = len(self.calendar) * len(self.targets) if self.alphabet is None else 0
        return 2 * sum(HARMONICS[season] for season in self.calendar) + usual

    @property
    def parameters(self) -> int:
        """P: number of recurrent parameters, (n + m + 1)·G·n."""
        return (self.units + self.network_inputs + 1) * GATES[self.cell] * self.units

    @property
    def tangents(self) -> int:
        """R: number of rank-one tangents that the estimator carries."""
        if self.estimator == "nobacktrack-traces":
            return 0 if self.residual_weight == 0.0 else self.rank
        return self.rank if self.estimator in ("nobacktrack", "uoro") else 0

    def to_dict(self) -> dict[str, object]:
        """Every field by its name, in values that JSON can hold (lists for tuples)."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> "Config":
        """The inverse of `to_dict`. Raises ConfigError for an unknown or missing field, or a value out of its range."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(values) - known:
            raise ConfigError(f"{len(unknown)} unknown field(s); the fields are {', '.join(sorted(known))}")
        if "targets" not in values:
            raise ConfigError("targets is missing")
        for field in ("targets", "inputs", "alphabet", "calendar", "time_constants"):
            value = values.get(field, ())
            if value is None and field == "alphabet":
                continue
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise ConfigError(f"{field} must be a list")
        return cls(**values)  # type: ignore[arg-type]

    def fingerprint(self) -> str:
        """SHA-256 in hex over all fields: equal configurations have equal fingerprints on every machine."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _is_symbol(symbol: object) -> bool:
    return isinstance(symbol, str) and 1 <= len(symbol) <= 16


def _check_integer(field: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{field} must be a whole number from {low} to {high}")


def _check_number(field: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        raise ConfigError(f"{field} must be a finite number")
    if not low <= value <= high:
        raise ConfigError(f"{field} must be from {low:g} to {high:g}")
