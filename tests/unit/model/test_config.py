"""Configurations: what is refused, and what the fingerprint tells apart."""

import dataclasses
import pickle

import pytest
from pydantic import TypeAdapter, ValidationError

from nobacktrack.model import Config, ConfigError
from nobacktrack.service.api.openapi_parts import CONFIG_SCHEMA


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"targets": ()}, "targets must name"),
        ({"targets": ("a", "a")}, "different names"),
        ({"targets": ("a",), "inputs": ("a",)}, "different names"),
        ({"targets": ("",)}, "characters"),
        ({"targets": ("a\n",)}, "characters"),
        ({"targets": (1,)}, "characters"),
        ({"targets": tuple(f"t{i}" for i in range(257))}, "at most 256"),
        ({"targets": ("a",), "units": 0}, "units must be a whole number"),
        ({"targets": ("a",), "units": True}, "units must be a whole number"),
        ({"targets": ("a",), "units": 8.0}, "units must be a whole number"),
        ({"targets": ("a",), "units": 4097}, "units must be a whole number"),
        ({"targets": ("a",), "cell": "lstm"}, "cell must be one of"),
        ({"targets": ("a",), "estimator": "bptt"}, "estimator must be one of"),
        ({"targets": ("a",), "optimiser": "x"}, "optimiser must be one of"),
        ({"targets": ("a",), "readout": "ridge"}, "readout must be one of"),
        ({"targets": ("a",), "dtype": "float16"}, "dtype must be one of"),
        ({"targets": ("a",), "seed": -1}, "seed must be"),
        ({"targets": ("a",), "learning_rate": float("nan")}, "learning_rate must be a finite"),
        ({"targets": ("a",), "learning_rate": 2}, "learning_rate must be from"),
        ({"targets": ("a",), "forgetting": 0.5}, "forgetting must be from"),
        ({"targets": ("a",), "time_constants": (1,)}, "time_constants must be two"),
        ({"targets": ("a",), "time_constants": (9, 2)}, "time_constants must be in order"),
        ({"targets": ("a",), "time_constants": (0.5, 2)}, "time_constants must be from"),
        ({"targets": ("a",), "estimator": "rtrl", "units": 512}, "use fewer units"),
        ({"targets": ("a",), "gain": 10**400}, "gain must be from"),
        ({"targets": ("a",), "rank": 0}, "rank must be a whole number"),
        ({"targets": ("a",), "residual_weight": 1.5}, "residual_weight must be from"),
        ({"targets": ("a",), "residual_weight": "auto"}, "rank of at least 2"),
        ({"targets": ("a",), "residual_weight": "none"}, "residual_weight must be a finite"),
        ({"targets": ("a",), "horizons": 257}, "horizons must be a whole number"),
        ({"targets": ("a",), "lags": 513}, "lags must be a whole number"),
        ({"targets": ("a",), "calendar": ("decade",)}, "calendar may have"),
        ({"targets": ("a",), "calendar": ("day", "day")}, "each season once"),
        ({"targets": ("a",), "alphabet": ("x",)}, "2 to 256 different"),
        ({"targets": ("a",), "alphabet": ("x", "x")}, "2 to 256 different"),
        ({"targets": ("a",), "alphabet": ("x", 1)}, "each symbol"),
        ({"targets": ("a", "b"), "alphabet": ("x", "y")}, "one target"),
        ({"targets": ("a",), "alphabet": ("x", "y"), "horizons": 2}, "one target"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [{}, {"targets": "load"}, {"targets": 3}, {"targets": ["a"], "flux": 1}, {"targets": ["a"], "inputs": None}],
)
def test_from_dict_refuses(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Config.from_dict(values)


def test_round_trip_and_fingerprint() -> None:
    base = Config(targets=("a",), inputs=("b",))
    assert Config.from_dict(base.to_dict()) == base
    others = {"targets": ("c",), "inputs": (), "units": 65, "time_constants": (1.0, 31.0), "gain": 0.8,
              "estimator": "frozen", "optimiser": "sgd", "cell": "gru", "rank": 2, "residual_weight": 0.5,
              "horizons": 2, "calendar": ("week",), "lags": 0, "alphabet": ("x", "y"), "readout": "gradient",
              "learning_rate": 1e-4, "learning_rate_decay": 0.02,
              "forgetting": 0.999, "seed": 1, "dtype": "float64"}  # fmt: skip
    prints = {Config.from_dict(base.to_dict() | {field: value}).fingerprint() for field, value in others.items()}
    assert len(prints | {base.fingerprint()}) == len(others) + 1
    assert set(others) == {field.name for field in dataclasses.fields(Config)}


def test_whole_numbers_and_floats_are_one_configuration() -> None:
    one, two = Config(targets=("a",), time_constants=(1, 30)), Config(targets=("a",), time_constants=(1.0, 30.0))
    assert one.fingerprint() == two.fingerprint()


def test_symbols_are_read_out_by_gradient_and_without_lags_whatever_is_said() -> None:
    said = Config(targets=("s",), alphabet=("x", "y"), readout="rls", lags=7)
    unsaid = Config(targets=("s",), alphabet=("x", "y"))
    assert (said.readout, said.lags) == (unsaid.readout, unsaid.lags) == ("gradient", 0)
    assert said.fingerprint() == unsaid.fingerprint()


def test_every_field_has_a_description_in_the_json_schema() -> None:
    properties = CONFIG_SCHEMA["properties"]
    assert list(properties) == [field.name for field in dataclasses.fields(Config)]
    for name, field in properties.items():
        assert field.get("description", "").rstrip().endswith("."), name
        assert len(field["description"]) > 20, name


def test_the_descriptions_change_nothing_else() -> None:
    """What pydantic reads is no field: not in the fingerprint, not in a pickle, not settable."""
    config = Config(targets=("y",))
    assert "__pydantic_config__" not in config.to_dict()
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301
    assert TypeAdapter(Config).validate_python({"targets": ["y"], "units": 8}) == Config(targets=("y",), units=8)
    with pytest.raises(ValidationError, match="units must be a whole number"):
        TypeAdapter(Config).validate_python({"targets": ["y"], "units": 0})
