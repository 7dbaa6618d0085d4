"""The settings as commands want them: the environment's, or one line about what is wrong there."""

from typing import Any

from pydantic import ValidationError

from ..errors import CommandError
from . import Settings


def settings(**given: Any) -> Settings:
    """The environment's settings, except for those given on the command line. Raises CommandError."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = str(wrong["loc"][0])
        name = field if field.isupper() else f"NBT_{field.upper()}"
        raise CommandError(f"the environment's {name} has a value that it cannot have: {wrong['msg']}") from error
