"""What a learner is: every choice that its results depend on, validated, with a fingerprint."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

NAME = re.compile(r"[A-Za-z0-9_.:/ -]{1,64}")
MAX_CHANNELS = 256
MAX_UNITS = 4096
MAX_RTRL_PARAMETERS = 2_000_000
MAX_RANK = 64
MAX_HORIZONS = 256
MAX_SYMBOLS = 256
MAX_LAGS = 512

PERIODS = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}
"""Seconds of each season; the year is the Gregorian mean."""
HARMONICS = {"hour": 1, "day": 4, "week": 2, "year": 1}
"""Sine and cosine pairs of each season. Four for the day: a day's shape is no sine."""
GATES = {"leaky": 1, "gru": 4}
"""G of each cell."""

NUMBERS = (
    ("gain", 0.0, 10.0),
    ("learning_rate", 0.0, 1.0),
    ("learning_rate_decay", 0.0, 1.0),
    ("forgetting", 0.9, 1.0),
)
"""Fields that are numbers, with the range of each."""

Cell = Literal["leaky", "gru"]
Estimator = Literal["nobacktrack", "nobacktrack-traces", "uoro", "rtrl", "frozen"]
Optimiser = Literal["sgd", "adam", "kalman"]
Season = Literal["hour", "day", "week", "year"]
Readout = Literal["rls", "gradient"]
DType = Literal["float32", "float64"]

CHOICES = (
    ("cell", Cell), ("estimator", Estimator), ("optimiser", Optimiser), ("readout", Readout), ("dtype", DType),
)  # fmt: skip
"""Fields that are one of a few words."""


class ConfigError(ValueError):
    """A configuration that no learner can have; the message says which field and what it may be."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Configuration of a learner. Only `targets` is needed.

    Two learners with equal configurations that see the same events are equal bit for bit. "Neighbours" below is the
    table of each default beside its neighbours in tests/bench/LEARNING.md.
    """

    targets: tuple[str, ...]
    """Names of the channels to predict."""
    inputs: tuple[str, ...] = ()
    """Names of the channels that are known before the targets of the same event."""
    alphabet: tuple[str, ...] | None = None
    """Symbols, when the only target is one of them and not a number: y is its index, predictions are probabilities."""
    horizons: int = 1
    """Steps ahead that have a readout of their own, trained on the values themselves; further ones are run ahead."""
    calendar: tuple[Season, ...] = ("day", "week")
    """Seasons whose phase, and usual change there, is read from the event's time: `hour`, `day`, `week`, `year`.

    The week is worth 2 % on NAB, both together 4 %, and 8 % of the squared error on ETTh1 (neighbours).
    """
    lags: int = 48
    """Newest changes that a linear autoregression beside the network reads; its predictions, the network's and
    persistence are mixed, with weights learnt online. 0: the network alone predicts, 0.6 % worse on NAB and 1.2 % on
    ETTh1; 24 or 96 lags differ by less than 0.3 % (neighbours)."""
    cell: Cell = "leaky"
    """Recurrent cell: `leaky` h' = (1-α) h + α tanh(a), or `gru`, which counts and holds symbols better and is 0.4 %
    better on NAB, 2 % on ETTh1 (neighbours), for four times the parameters."""
    units: int = 64
    """Hidden units n; the cost of an event is linear in the parameters, so quadratic in n. 32 and 128 units are within
    0.5 % of the default (neighbours)."""
    time_constants: tuple[float, float] = (1.0, 30.0)
    """Shortest and longest time constant of the units at the start, in events, spread log-uniformly; leaky: α = 1/τ. A
    longest of 10 or of 100 is within 0.6 % (neighbours)."""
    gain: float = 0.9
    """Scale of the initial recurrent weights, about their spectral radius: just below 1, where a state lasts
    and does not explode; from 0.6 to 1.1 it hardly matters (neighbours)."""
    estimator: Estimator = "nobacktrack-traces"
    """How the gradient of the recurrent weights is had: unbiased by `nobacktrack`, `uoro` or exact `rtrl` (small
    networks); with own-unit traces, `residual_weight` between biased and unbiased; or not at all, `frozen`.

    Traces beat frozen and every unbiased estimate at one step ahead: see tests/bench/LEARNING.md.
    """
    rank: int = 1
    """Independent rank-one tangents, averaged."""
    residual_weight: float | Literal["auto"] = 0.0
    """λ of `nobacktrack-traces`: 1 is unbiased, 0 needs no tangent; `auto` (rank 2 or more) leaves out of the residual
    what the exact part outweighs: near 1 where credit must cross units, but on a^n b^n not as good as 0."""
    optimiser: Optimiser = "adam"
    """`adam`, plain `sgd`, or `kalman`, the quasi-diagonal filter of Kalman NoBackTrack."""
    learning_rate: float = 1e-3
    """η0 of the step size η_t = η0/(1 + κ√t). Adam's steps shrink further where errors are small
    (`step_sizes.error_scale`)."""
    learning_rate_decay: float = 0.1
    """κ of the step size. A third of it, or three times the rate, is 0.2 % worse on NAB and 0.5 % better on ETTh1; the
    other way round it is the other way round (neighbours)."""
    readout: Readout = "rls"
    """How the readout is learnt: `rls`, exact recursive least squares, whose cost is quadratic in the features; or
    `gradient`, Adam with the step size of the network, linear; 2 % worse on NAB and 4 % on ETTh1 (neighbours). With an
    alphabet it is always `gradient`."""
    forgetting: float = 0.9995
    """λ of all recursive least squares and of the mixture: they average over about 1/(1-λ) events. 0.999 and 0.9998 are
    no better (neighbours)."""
    seed: int = 0
    """Key of every random draw."""
    dtype: DType = "float32"
    """Precision of the recurrent parameters and their tangent; the readout is float64 always. float32 halves the
    memory that an event has to read."""

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
        """o: numbers that a prediction has, one a target or one a symbol."""
        return len(self.targets) if self.alphabet is None else len(self.alphabet)

    @property
    def fed_back(self) -> int:
        """f: level, change and missing flag of each target; or a number for each symbol and a missing flag."""
        return 3 * len(self.targets) if self.alphabet is None else len(self.alphabet) + 1

    @property
    def network_inputs(self) -> int:
        """m: what is fed back, value and missing flag of each input, the time since the last event, the seasons."""
        return self.fed_back + 2 * len(self.inputs) + 1 + self.seasonal

    @property
    def seasonal(self) -> int:
        """Sine and cosine of each season's harmonics, and the usual changes of each target that is a number."""
        usual = len(self.calendar) * len(self.targets) if self.alphabet is None else 0
        return 2 * sum(HARMONICS[season] for season in self.calendar) + usual

    @property
    def parameters(self) -> int:
        """P: recurrent parameters, (n + m + 1)·G·n."""
        return (self.units + self.network_inputs + 1) * GATES[self.cell] * self.units

    @property
    def tangents(self) -> int:
        """R: rank-one tangents that the estimator carries."""
        if self.estimator == "nobacktrack-traces":
            return 0 if self.residual_weight == 0.0 else self.rank
        return self.rank if self.estimator in ("nobacktrack", "uoro") else 0

    def to_dict(self) -> dict[str, object]:
        """Plain values, as JSON holds them."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> "Config":
        """The inverse of `to_dict`. Raises ConfigError for an unknown field or a value that it cannot have."""
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
        """SHA-256, hex, over the configuration: equal for equal learners, on any machine."""
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
