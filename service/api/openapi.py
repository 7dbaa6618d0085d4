"""The OpenAPI document: FastAPI's own, with the service's real errors and an example of every answer.

FastAPI describes an error that the service does not send (`HTTPValidationError`), and knows nothing of the errors of
middleware. A route names its own errors (`problems`). Errors that follow from the parts of a request are added here, so
that no address can lack them. Examples of errors come from the error tree, all others from `service/api/examples.py`.
"""

from typing import Any

from fastapi import FastAPI
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from ..errors import (
    BadRequest,
    Forbidden,
    HeadTooLarge,
    Internal,
    LimitReached,
    NotFound,
    RequestTimeout,
    ServiceError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownEvent,
    UnknownSnapshot,
    UnknownStream,
    UnsupportedEncoding,
)
from ..schemas import Problem
from .examples import ANSWERS
from .problems import PROBLEM, in_protocol, problems
from .scope import PROBES

OF_FASTAPI = ("HTTPValidationError", "ValidationError")
REFERENCE = "#/components/schemas/"
FORECAST = "/v1/streams/{stream}/forecast"


def _optional(schema: dict[str, Any]) -> None:
    del schema["default"]  # the field is absent, never null


class Described(Problem):
    """An error (RFC 9457)."""

    field: str | SkipJsonSchema[None] = Field(default=None, json_schema_extra=_optional)
    """Which part of the request is wrong: a field of the body, a parameter or a header."""
    retry_after: int | SkipJsonSchema[None] = Field(default=None, json_schema_extra=_optional)
    """Seconds after which to try again."""


class ProtocolProblem(Described):
    """An error, with what the Open Inference Protocol wants."""

    error: str
    """Title and detail."""


def describe(app: FastAPI) -> None:
    """Complete the document: the errors of every address in their form, and an example of each answer."""
    plain = app.openapi
    titles = _titles(ServiceError)

    def openapi() -> dict[str, Any]:
        schema = plain()
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation, titles)
        _bound(schema["paths"][FORECAST], app.state.settings.max_horizon)
        schemas = schema["components"]["schemas"]
        for name in OF_FASTAPI:
            schemas.pop(name, None)
        schemas["Problem"] = Described.model_json_schema() | {"title": "Problem"}
        schemas["ProtocolProblem"] = ProtocolProblem.model_json_schema()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _bound(forecast: dict[str, Any], steps: int) -> None:
    """Add the largest horizon, a setting that is unknown when the routes are declared."""
    [horizon] = [one for one in forecast["get"]["parameters"] if one["name"] == "horizon"]
    horizon["schema"]["maximum"] = steps
    forecast["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["x"]["maxItems"] = steps


def _titles(error: type[ServiceError]) -> dict[int, str]:
    """The description of each status: the title of its error that is nearest to the root of the tree."""
    found: dict[int, str] = {}
    level = [error]
    while level:
        for one in level:
            found.setdefault(one.status, one.title())
        level = [below for one in level for below in one.__subclasses__()]
    return found


def _complete(path: str, method: str, operation: dict[str, Any], titles: dict[int, str]) -> None:
    responses: dict[str, Any] = operation["responses"]
    if any(OF_FASTAPI[0] in str(said) for said in responses.get("422", {}).get("content", {}).values()):
        del responses["422"]["content"]["application/json"]
    for said in responses.values():
        for content in said.get("content", {}).values():
            known = content.get("schema", {}).get("$ref", "").removeprefix(REFERENCE)
            if known in ANSWERS:
                content["example"] = ANSWERS[known]
    errors = {int(code): _examples(said) for code, said in responses.items() if int(code) >= 400}
    for code, said in problems(*_general(path, method, operation)).items():
        errors.setdefault(int(code), {}).update(_examples(said))
    for code in sorted(errors):
        if errors[code]:
            responses[str(code)] = {"description": titles[code], "content": _content(path, errors[code])}
        else:
            responses.pop(str(code))


def _examples(said: dict[str, Any]) -> dict[str, Any]:
    examples: dict[str, Any] = said.get("content", {}).get(PROBLEM, {}).get("examples", {})
    return examples


def _content(path: str, examples: dict[str, Any]) -> dict[str, Any]:
    if not path.startswith("/v2"):
        return {PROBLEM: {"schema": {"$ref": f"{REFERENCE}Problem"}, "examples": examples}}
    translated = {slug: one | {"value": in_protocol(one["value"])} for slug, one in examples.items()}
    return {"application/json": {"schema": {"$ref": f"{REFERENCE}ProtocolProblem"}, "examples": translated}}


def _general(path: str, method: str, operation: dict[str, Any]) -> list[type[ServiceError]]:
    """Errors that follow from the parts of an address and its body."""
    # An unknown query parameter; another name or site; an unknown coding; a head that is too large; our fault.
    errors: list[type[ServiceError]] = [BadRequest, Forbidden, UnsupportedEncoding, HeadTooLarge, Internal]
    if operation.get("security"):
        errors += [Unauthorized]
    if path not in PROBES:
        errors += [LimitReached]
    if path.startswith(("/v1/", "/v2/models/")):
        errors += [Unavailable]
    if "requestBody" in operation:
        errors += [RequestTimeout, TooLarge]
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    if "stream" in names:
        errors += [NotFound]
    # All but the one that makes it.
    if "stream" in names and (method, path) != ("put", "/v1/streams/{stream}"):
        errors += [UnknownStream]
    if "snapshot" in names:
        errors += [UnknownSnapshot]
    if "event" in names:
        errors += [UnknownEvent]
    return errors
