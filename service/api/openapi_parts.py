"""Parts of the OpenAPI document that routes describe by hand."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ...model import Config


def _config_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, with the docstrings of its fields.

    pydantic looks for the docstrings in the module that the class names, which is the one that users import it from; so
    the class names its own module meanwhile, the one of its methods.
    """
    public, Config.__module__ = Config.__module__, Config.to_dict.__module__
    try:
        return TypeAdapter(Config).json_schema()
    finally:
        Config.__module__ = public


CONFIG_SCHEMA = _config_schema()
"""JSON schema of a stream's configuration."""


def body_of(
    schema: type[BaseModel] | dict[str, Any], media: Mapping[str, Any] = {}, *, required: bool = True
) -> dict[str, Any]:
    """The OpenAPI description of a body that is parsed by hand."""
    described = schema if isinstance(schema, dict) else schema.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": described}, **media}
    return {"requestBody": {"required": required, "content": content}}
