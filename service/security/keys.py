"""Keys: what they are, and the file that lists them.

A key is `nbt_<id>_<secret>`: the id names the key, the secret is 256 random bits. The file holds only the SHA-256 of
the whole key. A slow hash would protect passwords that people choose; nobody guesses 256 bits, and a slow hash would
cost more than learning the event.

    {"keys": [{"id": "5f0c…", "name": "kiln", "role": "write", "scope": "kiln-*", "sha256": "…", "created": "2026-…Z"}]}
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, get_args

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from ..errors import CommandError
from ..files import replacing
from ..schemas import Wire

Role: TypeAlias = Literal["read", "write", "admin"]
"""What a key may do. Each role includes the one before it."""
ROLES: tuple[Role, ...] = get_args(Role)
EVERYTHING = "*"
"""The scope of all streams."""

_KEY = re.compile(r"nbt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class Key(Wire):
    """What the file holds of one key: not the key itself."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
    role: Role
    scope: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]{1,64}|[A-Za-z0-9_-]{0,63}\*)$")]
    """A stream's name, or the beginning of names and `*`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime

    def has(self, role: Role) -> bool:
        """Whether the key's role includes this one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def covers(self, stream: str) -> bool:
        """Whether the key's scope includes the stream of this name."""
        return stream.startswith(self.scope[:-1]) if self.scope.endswith("*") else stream == self.scope


class KeyList(Wire):
    """The content of a keys file."""

    keys: list[Key]

    @model_validator(mode="after")
    def _no_id_twice(self) -> Self:
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same id")
        return self


def identify(token: str) -> str | None:
    """The id in a text that has the form of a key; None for any other text."""
    found = _KEY.fullmatch(token)
    return None if found is None else found[1]


def digest(token: str) -> str:
    """The hash of a key, as the file holds it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> tuple[Key, ...]:
    """The keys of a file. Raises CommandError, one line, for a file that is not there or damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        how = "`nobacktrack keys create` makes one"
        raise CommandError(f"cannot read the keys file {path}: {error.strerror}; {how}") from error
    try:
        return tuple(KeyList.model_validate_json(content).keys)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CommandError(f"the keys file {path} is damaged: {f'{where}: ' if where else ''}{first['msg']}") from None


def create(path: Path, role: Role, scope: str, name: str | None = None) -> tuple[str, Key]:
    """Add a key to a file, which is made when there is none. Returns the key, and what the file holds of it.

    The key itself is stored nowhere. Several keys may have the same name, so that a new one can be handed out before
    the old one is revoked. Raises CommandError.
    """
    number = secrets.token_hex(6)
    token = f"nbt_{number}_{secrets.token_urlsafe(32)}"
    try:
        key = Key(
            id=number, name=number if name is None else name, role=role, scope=scope, sha256=digest(token),
            created=datetime.now(UTC).replace(microsecond=0),
        )  # fmt: skip
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        shapes = {"scope": "the name of a stream, or the beginning of names and *", "name": "1 to 64 printable letters"}
        raise CommandError(f"--{field} is {shapes[str(field)]}") from None
    _rewrite(path, lambda keys: (*keys, key))
    return token, key


def revoke(path: Path, which: str) -> Key:
    """Remove the key of this id, or the one of this name. Raises CommandError when there is none, or more than one."""
    gone: list[Key] = []

    def without(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        found = [key for key in keys if key.id == which] or [key for key in keys if key.name == which]
        if not found:
            raise CommandError(f"{path} has no key of this name or id; `nobacktrack keys list` shows them")
        if len(found) > 1:
            raise CommandError(f"several keys have this name; give the id of one: {', '.join(key.id for key in found)}")
        gone.extend(found)
        return tuple(key for key in keys if key is not found[0])

    _rewrite(path, without, must_exist=True)
    return gone[0]


def _rewrite(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]], *, must_exist: bool = False) -> None:
    """Replace the file by a changed one. A new file can be read by its owner alone."""
    path = path.resolve()
    try:
        with _alone(path.parent):
            there = must_exist or path.exists()
            content = KeyList(keys=list(change(read(path) if there else ()))).model_dump_json(indent=1) + "\n"
            with replacing(path, 0o600) as file:
                file.write(content.encode())
    except OSError as error:
        raise CommandError(f"cannot write the keys file {path}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other commands from changing a file of this directory: the later one would undo the earlier one."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
