"""Keys: the file that knows them, and the service's view of it."""

import json
import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nobacktrack.service.api.scope import KEY, visible
from nobacktrack.service.errors import CommandError
from nobacktrack.service.security import keys
from nobacktrack.service.security.keyring import LOOK_SECONDS, Keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_by_its_digest_alone(path: Path) -> None:
    token, key = keys.create(path, "write", "plant-*", "line 3")
    assert re.fullmatch(r"nbt_[0-9a-f]{12}_[\w-]{43}", token)
    assert keys.identify(token) == key.id
    secret = token.rpartition(key.id)[2].lstrip("_")
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.read(path) == (key,)
    assert (key.role, key.scope, key.name, key.sha256) == ("write", "plant-*", "line 3", keys.digest(token))
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"


def test_no_two_keys_are_the_same_and_a_name_is_the_id_where_none_is_given(path: Path) -> None:
    made = [keys.create(path, "read", "*") for _ in range(5)]
    assert len({token for token, _ in made}) == len({key.id for _, key in made}) == 5
    assert all(key.name == key.id for _, key in made)
    assert keys.read(path) == tuple(key for _, key in made)


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("plant-*", ["plant-1", "plant-"], ["plant", "Plant-1", "xplant-1", ""]),
        ("plant-1", ["plant-1"], ["plant-12", "plant-", "plant-*"]),
        ("*", ["a", "plant-1"], []),
    ],
)
def test_scopes(path: Path, scope: str, inside: list[str], outside: list[str]) -> None:
    _, key = keys.create(path, "read", scope)
    assert [name for name in inside + outside if key.covers(name)] == inside
    assert [name for name in inside + outside if visible({KEY: key}, name)] == inside
    assert all(visible({}, name) for name in inside + outside), "without keys everybody sees everything"


def test_a_role_includes_those_before_it(path: Path) -> None:
    for role, may in (("read", 1), ("write", 2), ("admin", 3)):
        _, key = keys.create(path, role, "*")  # type: ignore[arg-type]
        assert [key.has(one) for one in keys.ROLES] == [True] * may + [False] * (3 - may)


@pytest.mark.parametrize("scope", ["", "a b", "*a", "a**", "ü", "a" * 65, "a\n", "../*"])
def test_a_scope_that_is_none_makes_no_key(path: Path, scope: str) -> None:
    with pytest.raises(CommandError, match=r"^--scope is the name of a stream"):
        keys.create(path, "read", scope)
    with pytest.raises(CommandError, match=r"^--name is 1 to 64"):
        keys.create(path, "read", "*", "a\nb")
    assert not path.exists()


def test_two_keys_of_one_name_and_one_is_revoked_by_its_id(path: Path) -> None:
    (_, old), (_, new) = keys.create(path, "read", "*", "kiln"), keys.create(path, "read", "*", "kiln")
    with pytest.raises(CommandError, match=f"give the id of one: {old.id}, {new.id}"):
        keys.revoke(path, "kiln")
    assert keys.revoke(path, old.id) == old
    assert keys.read(path) == (new,)
    assert keys.revoke(path, "kiln") == new
    assert keys.read(path) == ()
    with pytest.raises(CommandError, match="no key of this name"):
        keys.revoke(path, "kiln")


def test_who_may_read_the_file_stays_as_it_was(path: Path) -> None:
    keys.create(path, "read", "*")
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path)
    keys.create(link, "read", "*")
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert len(keys.read(path)) == 2


def damages(path: Path) -> dict[str, bytes]:
    """Contents that are no keys file, by what is wrong."""
    _, key = keys.create(path, "read", "*")
    known = key.model_dump(mode="json")
    return {
        "empty": b"",
        "cut short": path.read_bytes()[:-20],
        "not text": b"\xff\xfe",
        "another shape": b"[]",
        "another role": json.dumps({"keys": [known | {"role": "root"}]}).encode(),
        "another field": json.dumps({"keys": [known | {"owner": "secret-canary"}]}).encode(),
        "a digest that is none": json.dumps({"keys": [known | {"sha256": "secret-canary"}]}).encode(),
        "the same id twice": json.dumps({"keys": [known, known]}).encode(),
    }


def test_a_damaged_file_is_one_line(path: Path) -> None:
    for what, content in damages(path).items():
        path.write_bytes(content)
        with pytest.raises(CommandError, match=r"^the keys file .* is damaged: ") as failed:
            Keyring(path)
        assert "\n" not in str(failed.value), what
        assert "secret-canary" not in str(failed.value), what
        with pytest.raises(CommandError):
            keys.create(path, "read", "*")
        assert path.read_bytes() == content, "what cannot be read is not overwritten"


def test_files_that_are_not_there(path: Path) -> None:
    for read in (keys.read, Keyring):
        with pytest.raises(CommandError, match="No such file or directory; `nobacktrack keys create`"):
            read(path)
    with pytest.raises(CommandError, match="cannot read the keys file"):
        keys.revoke(path, "a")
    with pytest.raises(CommandError, match="cannot write the keys file"):
        keys.create(path.parent / "nowhere" / "keys.json", "read", "*")


def test_a_keyring_finds_the_whole_key_and_nothing_else(path: Path) -> None:
    token, key = keys.create(path, "read", "*")
    other, _ = keys.create(path, "admin", "*")
    ring = Keyring(path)
    assert len(ring) == 2
    assert ring.find(token) == key
    wrong = [
        "",
        token[:-1],
        token[:-1] + ("a" if token[-1] != "a" else "b"),
        token + "a",
        token + "\n",
        token.upper(),
        f"nbt_{key.id}_{other[17:]}",
        f"nbt_{'0' * 12}_{token[17:]}",
        key.sha256,
        "\udcff",
    ]
    assert [one for one in wrong if ring.find(one) is not None] == []


def test_a_keyring_follows_its_file_within_a_second(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    old, _ = keys.create(path, "read", "*", "old")
    ring = Keyring(path, clock)
    new, key = keys.create(path, "read", "*", "new")
    assert ring.find(new) == key, "who makes a key wants to use it at once"
    assert ring.find(old) is not None, "both hold while clients change over"
    keys.revoke(path, "old")
    assert ring.find(old) is not None, "not looked at again so soon"
    clock.now += LOOK_SECONDS
    assert ring.find(old) is None
    assert ring.holds(key)
    path.write_bytes(path.read_bytes().replace(b'"read"', b'"admin"'))
    clock.now += LOOK_SECONDS
    assert not ring.holds(key), "with other rights it is another key"
    assert ring.find(new) is not None
    assert "ERROR" not in caplog.text


def test_a_file_that_is_damaged_or_gone_leaves_the_last_good_one(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    token, _ = keys.create(path, "read", "*")
    content = path.read_bytes()
    ring = Keyring(path, clock)
    harms: list[Callable[[], object]] = [lambda: path.write_text("{"), path.unlink]
    for number, harm in enumerate(harms, 1):
        harm()
        for _ in range(3):
            clock.now += LOOK_SECONDS
            assert ring.find(token) is not None
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == number, "each change is logged once"
        assert "are still accepted" in errors[-1].getMessage()
        assert token not in caplog.text
    path.write_bytes(content.replace(b'"read"', b'"write"'))
    clock.now += LOOK_SECONDS
    found = ring.find(token)
    assert found is not None
    assert found.role == "write"


def test_commands_at_once_lose_no_key(path: Path) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(10):
                    keys.create(path, "read", "*")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert len(keys.read(path)) == 40
