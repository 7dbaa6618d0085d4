"""A stored checkpoint that is damaged: noticed, counted, and done without."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.service.codec.checkpoints import chain_of, pack
from nobacktrack.service.errors import Internal
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, Process, oracle

pytestmark = pytest.mark.anyio

FLIPS, CUTS = 1000, 100


async def grown() -> MemoryStore:
    """A store with a stream of two checkpoints and events after the newer one."""
    store = MemoryStore()
    process = Process(store, checkpoint_every=10, max_batch=5)
    await process.streams.create("s", CONFIG)
    for first in range(1, 40, 5):
        await process.learn(first, first + 4)
    await process.streams.close()
    assert len(store._streams["s"].checkpoints) == 2
    return store


async def test_every_damage_is_noticed_and_the_older_checkpoint_used() -> None:
    store = await grown()
    kept = store._streams["s"].checkpoints
    newest = max(kept)
    whole, rng = kept[newest], np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, *rng.integers(1, len(whole), CUTS - 1))]
    for bit in (*range(8 * 64), *rng.integers(0, len(whole) * 8, FLIPS - 8 * 64)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.append(bytes(flipped))
    assert len(damaged) == FLIPS + CUTS
    expected = oracle(40)
    for blob in damaged:
        kept[newest] = blob
        process = Process(store)
        status = await process.streams.status("s")
        assert (status.version, status.digest) == (40, expected)
        assert process.count("damaged_checkpoints_total") == 1
    kept[newest] = whole
    process = Process(store)
    assert (await process.streams.status("s")).digest == expected
    assert process.count("damaged_checkpoints_total") == 0


async def test_with_both_damaged_nothing_is_made_up() -> None:
    store = await grown()
    kept = store._streams["s"].checkpoints
    for version in kept:
        kept[version] = kept[version][:-1]
    process = Process(store)
    with pytest.raises(Internal, match="cannot be followed"):
        await process.streams.status("s")
    assert process.count("damaged_checkpoints_total") >= 2


async def test_a_checkpoint_of_another_configuration_is_refused() -> None:
    store = await grown()
    kept = store._streams["s"].checkpoints
    newest = max(kept)
    foreign = model.Learner(model.Config.from_dict(CONFIG | {"units": 3}))
    kept[newest] = pack(chain_of(kept[newest]), foreign)
    with pytest.raises(Internal, match="another configuration"):
        await Process(store).streams.status("s")
