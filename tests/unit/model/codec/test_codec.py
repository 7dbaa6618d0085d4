"""A learner as bytes: going on from them is going on, and damage is noticed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.codec import codec, formats
from tests.unit.model.streams import CONFIGS, stream


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
    with pytest.raises(model.DamagedState, match=r"ahead\.\w+"):
        model.from_bytes(bytes(damaged))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": formats.NEWEST + 1}, f"format {formats.NEWEST + 1}; this version reads formats 1 to"),
        ({"format": 0}, "format 0"),
        ({"config": {"targets": ["y"], "flux": 1}}, "another version"),
        ({"config": {"targets": ["y"], "units": 3, "lags": 48}}, "not what this version keeps"),
    ],
)
def test_what_this_version_does_not_know_is_refused(blob: bytes, change: dict[str, object], message: str) -> None:
    start = len(codec.MAGIC) + 4
    end = start + int.from_bytes(blob[start - 4 : start], "little")
    header = json.dumps(json.loads(blob[start:end]) | change).encode()
    body = codec.MAGIC + len(header).to_bytes(4, "little") + header + blob[end:-32]
    with pytest.raises(model.OtherFormat, match=message):
        model.from_bytes(body + hashlib.sha256(body).digest())


def test_a_learner_of_format_1_goes_on_as_it_was() -> None:
    """formats/1.learner was written by the last version of format 1, and 1.json holds what that version said of it."""
    folder = Path(__file__).with_name("formats")
    said = json.loads((folder / "1.json").read_text())
    blob = (folder / "1.learner").read_bytes()
    learner = model.from_bytes(blob)
    assert learner.version == said["version"]
    # What has been added since is off, and all else as it was written.
    now = learner.config.to_dict()
    assert {name: now[name] for name in said["config"]} == said["config"]
    assert {name: now[name] for name in now.keys() - said["config"].keys()} == {"lags": 0, "readout": "rls"}
    assert model.stored_config(said["config"]) == learner.config
    # Its newest value was missing: its prediction now goes on from what was said of that value, by the same change.
    ahead, scales = learner.forecast(1), learner.state.scales
    moved = scales.value[0] - scales.last[0]
    found = [part[0, 0] - moved for part in ahead]
    np.testing.assert_allclose(found, [said[name][0] for name in ("mean", "lower", "upper")], rtol=1e-12)
    # From here on it is a learner of today.
    again = model.from_bytes(model.to_bytes(learner))
    assert again.digest() == learner.digest()
    for one in (learner, again):
        one.observe_many(*stream(one.config, 200, seed=1))
    assert again.digest() == learner.digest()
    assert np.isfinite(learner.forecast(3).mean).all()
