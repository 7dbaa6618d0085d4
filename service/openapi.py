"""The OpenAPI document: FastAPI's own, with errors as they are.

FastAPI describes an error that there is not here (`HTTPValidationError`), and does not know what is refused before a
route is asked. A route names the errors that are its alone (`api.problems`); what follows from the parts of a request
is added here, so that no address can lack it.
"""

from typing import Any

from fastapi import FastAPI

from service.admission import PROBES
from service.errors import ServiceError
from service.schemas import Problem

PROBLEM = "application/problem+json"
OF_FASTAPI = ("HTTPValidationError", "ValidationError")
REFERENCE = "#/components/schemas/"


def describe(app: FastAPI) -> None:
    """Let the document say of every address which errors it has, and in what form."""
    plain = app.openapi
    titles = _titles(ServiceError)

    def openapi() -> dict[str, Any]:
        schema = plain()
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _complete(path, operation, titles)
        schemas = schema["components"]["schemas"]
        for name in OF_FASTAPI:
            schemas.pop(name, None)
        schemas["Problem"] = Problem.model_json_schema()
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _titles(error: type[ServiceError]) -> dict[int, str]:
    """What each status means: the title of the error that is nearest to the root of the tree."""
    found: dict[int, str] = {}
    level = [error]
    while level:
        for one in level:
            found.setdefault(one.status, (one.__doc__ or "").splitlines()[0])
        level = [below for one in level for below in one.__subclasses__()]
    return found


def _complete(path: str, operation: dict[str, Any], titles: dict[int, str]) -> None:
    responses: dict[str, Any] = operation["responses"]
    if any(OF_FASTAPI[0] in str(said) for said in responses.get("422", {}).get("content", {}).values()):
        del responses["422"]
    codes = {int(code) for code in responses if int(code) >= 400} | _general(path, operation)
    # The protocol of /v2 has errors of its own form; what is refused before it is asked has ours.
    kinds = [PROBLEM, "application/json"] if path.startswith("/v2") else [PROBLEM]
    for code in sorted(codes):
        content = {kind: {"schema": {"$ref": f"{REFERENCE}Problem"}} for kind in kinds}
        responses[str(code)] = {"description": titles[code], "content": content}


def _general(path: str, operation: dict[str, Any]) -> set[int]:
    """Errors that follow from what an address takes, whatever it does."""
    codes = {403, 415, 431}  # another name or site; a coding that is not known; a head that is too large
    if operation.get("security"):
        codes |= {401}
    if path not in PROBES:
        codes |= {429}
    if path.startswith(("/v1/", "/v2/models/")):
        codes |= {503}
    if "requestBody" in operation:
        codes |= {400, 408, 413}
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    if "stream" in names:
        codes |= {404}
    if names - {"stream"}:
        codes |= {400}
    return codes
