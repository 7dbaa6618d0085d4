"""Parts of the OpenAPI document that routes describe by hand."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ...model import Config, config


def _field_docstrings() -> Iterator[tuple[str, str]]:
    """Each field of Config, with the docstring below it.

    Pydantic's own reader looks for a class in the module that the class names; Config names the package's face.
    """
    module = ast.parse(inspect.getsource(config))
    [definition] = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == Config.__name__]
    for field, docstring in pairwise(definition.body):
        match field, docstring:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def _config_schema() -> dict[str, Any]:
    schema = TypeAdapter(Config).json_schema()
    for name, text in _field_docstrings():
        schema["properties"][name]["description"] = text
    return schema


CONFIG_SCHEMA = _config_schema()
"""JSON schema of a stream's configuration."""


def body_of(
    schema: type[BaseModel] | dict[str, Any], media: Mapping[str, Any] = {}, *, required: bool = True
) -> dict[str, Any]:
    """The OpenAPI description of a body that is parsed by hand."""
    described = schema if isinstance(schema, dict) else schema.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": described}, **media}
    return {"requestBody": {"required": required, "content": content}}
