"""A learner as bytes: going on from them is going on, and damage is noticed."""

import hashlib
import json

import numpy as np
import pytest

import model
from model import codec
from tests.unit.streams import CONFIGS, stream


@pytest.fixture(params=CONFIGS, scope="module")
def config(request: pytest.FixtureRequest) -> model.Config:
    return CONFIGS[request.param]


def test_resumed_is_uninterrupted(config: model.Config) -> None:
    Y, X, times = stream(config, 800)
    learner = model.Learner(config)
    learner.observe_many(Y[:300], X[:300], times[:300])
    blob = model.to_bytes(learner)
    resumed = model.from_bytes(blob)
    assert resumed.digest() == learner.digest()
    assert resumed.config == learner.config
    learner.observe_many(Y[300:], X[300:], times[300:])
    resumed.observe_many(Y[300:], X[300:], times[300:])
    assert resumed.digest() == learner.digest()
    assert model.to_bytes(resumed) == model.to_bytes(learner) != blob


@pytest.fixture(scope="module")
def blob() -> bytes:
    learner = model.Learner(model.Config(targets=("y",), units=2))
    learner.observe_many(stream(learner.config, 20)[0])
    return model.to_bytes(learner)


def test_every_flipped_bit_and_every_cut_is_noticed(blob: bytes) -> None:
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, len(blob) * 8, 300):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(model.DamagedState):
            model.from_bytes(bytes(damaged))
    for length in [*range(60), *rng.integers(0, len(blob), 100)]:
        with pytest.raises(model.DamagedState):
            model.from_bytes(blob[:length])


def test_damage_is_located(blob: bytes) -> None:
    damaged = bytearray(blob)
    damaged[-100] ^= 1
    with pytest.raises(model.DamagedState, match=r"intervals\.(ordered|level)"):
        model.from_bytes(bytes(damaged))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"config": {"targets": ["y"], "flux": 1}}, "another version"),
        ({"config": {"targets": ["y"], "units": 3}}, "not what this version keeps"),
    ],
)
def test_another_version_is_refused(blob: bytes, change: dict[str, object], message: str) -> None:
    start = len(codec.MAGIC) + 4
    end = start + int.from_bytes(blob[start - 4 : start], "little")
    header = json.dumps(json.loads(blob[start:end]) | change).encode()
    body = codec.MAGIC + len(header).to_bytes(4, "little") + header + blob[end:-32]
    with pytest.raises(model.OtherFormat, match=message):
        model.from_bytes(body + hashlib.sha256(body).digest())
