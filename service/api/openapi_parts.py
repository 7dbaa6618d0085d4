"""Parts of the OpenAPI document that routes describe by hand."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ...model import Config

CONFIG_SCHEMA = TypeAdapter(Config).json_schema()
"""JSON schema of a stream's configuration."""


def body_of(
    schema: type[BaseModel] | dict[str, Any], media: Mapping[str, Any] = {}, *, required: bool = True
) -> dict[str, Any]:
    """The OpenAPI description of a body that is parsed by hand."""
    described = schema if isinstance(schema, dict) else schema.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": described}, **media}
    return {"requestBody": {"required": required, "content": content}}
