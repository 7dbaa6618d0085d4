"""The settings as people read them: what each is called, what it is, where that comes from; never a secret."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from . import Settings, variables

NOTHING = ""
"""How a setting that has no value is written."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting."""

    name: str
    """In the environment."""
    value: str
    default: str
    source: str
    """`default`, or `environment`: where a setting is given there, it counts even if it is the default."""


def shown(settings: Settings) -> list[Shown]:
    """All settings, in the order in which they are declared."""
    return [
        Shown(
            variables(name)[0],
            _text(getattr(settings, name)),
            _text(field.default),
            "environment" if name in settings.model_fields_set else "default",
        )
        for name, field in Settings.model_fields.items()
    ]


def meanings() -> dict[str, str]:
    """What each setting means, by its name in the environment: the words below it in `service/settings/__init__.py`."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(Settings))).body
    assert isinstance(tree, ast.ClassDef)
    return {variables(name)[0]: text for name, text in _described(tree) if name in Settings.model_fields}


def _described(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(inspect.cleandoc(text).split())


def _text(value: object) -> str:
    """A value as the environment would have it."""
    match value:
        case None:
            return NOTHING
        case SecretStr():
            return "(not shown)"
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(_text, value))
        case float() if value.is_integer():
            return str(int(value))
        case str() if "://" in value:
            return _address(value)
        case _:
            return str(value)


def _address(url: str) -> str:
    """A URL without user, password and query; nothing of one in which a password may be anywhere."""
    scheme, _, rest = url.partition("://")
    place, mark, path, query = re.fullmatch(r"([^/?#]*)(/?)([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if "@" in path + query:
        return f"{scheme}://(not shown)"
    _, at, host = place.rpartition("@")
    return f"{scheme}://{'(not shown)@' if at else ''}{host}{mark}{path}{'?(not shown)' if query else ''}"
