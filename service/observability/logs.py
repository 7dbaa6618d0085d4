"""What the service writes to standard error: a line for each thing that happened, as JSON or for people.

    {"time": "2026-01-01T12:00:00.000+00:00", "level": "warning",
     "logger": "nobacktrack.service.learners.cache", "message": "checkpoint 17 …",
     "stream": "taxi", "version": 21, "request_id": "5f0c91d2a7b3e684", "trace_id": "…", "span_id": "…"}

    2026-01-01 12:00:00.000 WARNING nobacktrack.service.learners.cache: checkpoint 17 … (stream=taxi version=21)

The fields after the message come from where the line is written (`begin`, `add`), and from the trace if there is one.
Of all that clients send, only the name of a stream and the id of a request are written. Of an error on the path of a
request, only the type and the place are written, since its message may repeat the request. Keys lose their secrets.
One record is one line, whatever it contains; for people, a traceback follows in lines of its own.

These are formatters for the standard library: a package would replace `json.dumps` and leave all else to us.
"""

import contextvars
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from opentelemetry import trace

Style = Literal["auto", "json", "text"]

REQUEST_ID = "request_id"
"""The field of a line in the path of a request."""

_ABOUT: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("about", default=MappingProxyType({}))
_SECRET = re.compile(r"(nbt_[0-9a-f]{12}_)[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that end a line, move a terminal's cursor or change the direction of writing."""


def begin(**fields: object) -> None:
    """From here on, in this task and the tasks that it starts, lines carry these fields and no others.

    A field that is a function is called when a line is written.
    """
    _ABOUT.set(fields)


def add(**fields: object) -> None:
    """From here on lines carry these fields too."""
    _ABOUT.set({**_ABOUT.get(), **fields})


def about(context: contextvars.Context | None = None) -> Mapping[str, Any]:
    """The fields that lines carry here, or in another context."""
    return _ABOUT.get() if context is None else context.get(_ABOUT, {})


def configure(level: str, style: Style) -> None:
    """Write this program's lines from `level` on, and those of libraries from warnings on, to standard error.

    Libraries have less to say to an operator, and would say more than they should: uvicorn's lower levels print
    addresses with their queries and the headers of WebSockets.
    """
    chosen: logging.Formatter = Text()
    if style == "json" or (style == "auto" and not sys.stderr.isatty()):
        chosen = Json()
    handler = logging.StreamHandler()
    handler.setFormatter(chosen)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(__name__.partition(".")[0]).setLevel(threshold)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # it would print the arguments of the call that failed


def without_secrets(line: str) -> str:
    """The line with the secret of each key cut out."""
    return _SECRET.sub(r"\1...", line)


class Json(logging.Formatter):
    """Writes each line as a JSON object, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = _fields(record)
        line: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["exception"] = _traceback(record.exc_info[1], REQUEST_ID in about())
        return without_secrets(json.dumps(line, default=str))


class Text(logging.Formatter):
    """Writes each line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = _fields(record)
        after = " ".join(f"{name}={value}" for name, value in fields.items())
        when = _time(record).astimezone().replace(tzinfo=None).isoformat(" ", "milliseconds")
        line = f"{when} {record.levelname} {record.name}: {record.getMessage()}{f' ({after})' if after else ''}"
        lines = [line]
        if record.exc_info:
            lines += _traceback(record.exc_info[1], REQUEST_ID in about()).splitlines()
        return without_secrets("\n".join(_CONTROL.sub(_escaped, part) for part in lines))


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of the context, of the line itself (`extra={"fields": …}`), and of the trace."""
    fields = {name: value() if callable(value) else value for name, value in about().items()}
    fields |= getattr(record, "fields", {})
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields |= {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}
    return {name: value for name, value in fields.items() if value is not None}


def _traceback(error: BaseException | None, in_request: bool) -> str:
    """The error with its causes, the first one first."""
    if error is None:
        return ""
    if not in_request:
        return "".join(traceback.format_exception(error)).rstrip()
    return "\n".join(_places(error, set()))


def _places(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Types and places of an error and its causes, without their messages."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for one in (before, *inner):
        if one is not None and id(one) not in seen:
            yield from _places(one, seen)
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield f"{type(error).__module__}.{type(error).__qualname__}"


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
