"""The log is the learner: replaying it gives the same bits, and says where it does not."""

import pytest

from nobacktrack.service.codec.checkpoints import pack, unpack
from nobacktrack.service.errors import CommandError
from nobacktrack.service.offline.replay_log import compare, rebuild, setting
from nobacktrack.service.store.base import Retention, Store
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, Process, oracle

pytestmark = pytest.mark.anyio


async def grown(store: Store) -> None:
    """A stream `s` at version 130, with checkpoints."""
    process = Process(store, checkpoint_every=40, max_batch=10)
    await process.streams.create("s", CONFIG)
    for first in range(1, 130, 10):
        await process.learn(first, first + 9)
    await process.streams.close()


async def test_a_replay_gives_the_stored_learner(store: Store) -> None:
    await grown(store)
    head = await store.head("s")
    assert head is not None
    newest, older = head.checkpoints
    found = await rebuild(store, "s")
    assert (found.begins, found.version, found.digest) == (older, 130, oracle(130))
    assert found.stored == {newest: True}
    # Any version on the way, also in the middle of a commit.
    for version in (older, older + 3, newest, 129):
        assert (await rebuild(store, "s", last=version)).digest == oracle(version)
    assert (await rebuild(store, "s", first=newest)).digest == oracle(130)


async def test_a_whole_log_begins_at_the_beginning() -> None:
    store = MemoryStore(Retention(whole_log=True))
    await grown(store)
    found = await rebuild(store, "s")
    assert (found.begins, found.digest, len(found.stored)) == (0, oracle(130), 2)
    assert all(found.stored.values())


async def test_another_learner_in_the_store_is_noticed() -> None:
    """A checkpoint that is whole, but not what the log makes."""
    store = MemoryStore(Retention(whole_log=True))
    await grown(store)
    kept = store._streams["s"].checkpoints
    version = max(kept)
    chain, learner = unpack(kept[version])
    learner.state.network.W[0, 0] += 1.0
    kept[version] = pack(chain, learner)
    assert (await rebuild(store, "s")).stored == {min(kept): True, version: False}


async def test_a_log_that_was_changed_is_noticed() -> None:
    store = MemoryStore(Retention(whole_log=True))
    await grown(store)
    log = store._streams["s"].log
    (last, (segment, chain)) = list(log.items())[3]
    log[last] = (segment[:-1] + bytes([segment[-1] ^ 1]), chain)
    with pytest.raises(CommandError, match="is not the one its checkpoint was made from"):
        await rebuild(store, "s")
    del log[last]
    with pytest.raises(CommandError, match="has a hole"):
        await rebuild(store, "s")


async def test_other_settings_are_scored_on_the_same_events() -> None:
    store = MemoryStore(Retention(whole_log=True))
    await grown(store)
    same, also = await compare(store, "s", {"learning_rate": 1e-3})
    assert (same.events, same.loss, same.baseline) == (130, also.loss, also.baseline)
    mine, other = await compare(store, "s", {"estimator": "frozen", "units": 3}, first=20, last=125)
    assert mine.events == other.events == 105
    assert other.settings == {"estimator": "frozen", "units": 3}
    assert mine.baseline == other.baseline
    assert mine.loss != other.loss


async def test_what_cannot_be_done_is_said(store: Store) -> None:
    await grown(store)
    for keywords, message in (
        ({"first": 3}, "can begin at version"),
        ({"last": 131}, "can end at"),
        ({"last": 2}, "can end at"),
    ):
        with pytest.raises(CommandError, match=message):
            await rebuild(store, "s", **keywords)
    with pytest.raises(CommandError, match="there is no stream"):
        await rebuild(store, "nothing")
    for changes, message in (
        ({"units": 0}, "units must be"),
        ({"flux": 1}, "unknown field"),
        ({"targets": ["z"]}, "are those of the log"),
    ):
        with pytest.raises(CommandError, match=message):
            await compare(store, "s", changes)
    with pytest.raises(CommandError, match="no events after version 130"):
        await compare(store, "s", {}, first=130)


def test_settings_are_read_as_json_or_text() -> None:
    assert setting("learning_rate=0.01") == ("learning_rate", 0.01)
    assert setting("time_constants=[1, 30]") == ("time_constants", [1, 30])
    assert setting("cell=gru") == ("cell", "gru")
    with pytest.raises(CommandError, match="name=value"):
        setting("cell")
