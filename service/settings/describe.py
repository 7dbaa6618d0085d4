"""The settings as people read them: name, value, default and source of each; never a secret."""

import re
from dataclasses import dataclass

from pydantic import SecretStr

from . import Settings, variables

NOTHING = ""
"""The text of a setting without a value."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting."""

    name: str
    """Its name in the environment."""
    value: str
    default: str
    source: str
    """`environment` for a setting that is given there, even with its default value; else `default`."""


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
    """What each setting means, by its name in the environment: the docstring below its field."""
    return {
        variables(name)[0]: " ".join((field.description or "").split()) for name, field in Settings.model_fields.items()
    }


def _text(value: object) -> str:
    """A value as one writes it in the environment."""
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
    """A URL without user, password and query. Of a URL in which a password may stand anywhere, only the scheme."""
    scheme, _, rest = url.partition("://")
    place, mark, path, query = re.fullmatch(r"([^/?#]*)(/?)([^?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if "@" in path + query:
        return f"{scheme}://(not shown)"
    _, at, host = place.rpartition("@")
    return f"{scheme}://{'(not shown)@' if at else ''}{host}{mark}{path}{'?(not shown)' if query else ''}"
