"""Lines of the log: one for each record, whatever is in it, and nothing that was sent."""

import contextvars
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nobacktrack.service.observability import logs

HOSTILE = "a\nb\r\x1b[2J\x00\u2028\u202e\ud800{}%s\"'"
KEY = "nbt_0123456789ab_" + "s3cr3t-" * 6 + "x"


@pytest.fixture(params=[logs.Json, logs.Text])
def lines(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger whose lines can be read, in each style; in a context of its own."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(request.param())
    logger = logging.Logger("service.test")  # noqa: LOG001 - nobody else's
    logger.addHandler(handler)
    yield logger, written
    handler.close()


def within(what: Callable[[], None], **fields: object) -> None:
    """Do it in the path of a request."""

    def inside() -> None:
        logs.begin(**fields)
        what()

    contextvars.Context().run(inside)


def test_a_record_is_one_line_whatever_is_in_it(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = lines
    within(lambda: logger.warning("stream %s", HOSTILE), stream=HOSTILE, request_id="r")
    text = written.getvalue()
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert len(text.splitlines()) == 1


def test_json_has_all_that_is_known_and_in_this_order() -> None:
    record = logging.LogRecord(
        "nobacktrack.service.learners.cache", logging.WARNING, "", 0, "no %s", ("checkpoint",), None
    )
    record.created = 1767268800.25
    said: list[dict[str, Any]] = []
    within(
        lambda: said.append(json.loads(logs.Json().format(record))),
        stream="taxi", version=lambda: 17, request_id="r1", other=None,
    )  # fmt: skip
    assert list(said[0].items()) == [
        ("time", "2026-01-01T12:00:00.250+00:00"),
        ("level", "warning"),
        ("logger", "nobacktrack.service.learners.cache"),
        ("message", "no checkpoint"),
        ("stream", "taxi"),
        ("version", 17),
        ("request_id", "r1"),
    ]


def test_text_says_the_same_to_people() -> None:
    record = logging.LogRecord(
        "nobacktrack.service.learners.cache", logging.WARNING, "", 0, "no %s", ("checkpoint",), None
    )
    said: list[str] = []
    within(lambda: said.append(logs.Text().format(record)), stream="taxi", request_id="r1")
    assert said[0].endswith(" WARNING nobacktrack.service.learners.cache: no checkpoint (stream=taxi request_id=r1)")


def failing(logger: logging.Logger) -> None:
    """Log an error whose words, and whose cause's words, are what somebody sent."""
    words = iter(["s3cr3t-1", "s3cr3t-2", "s3cr3t-3"])
    try:
        try:
            raise KeyError(next(words))
        except KeyError as cause:
            raise ExceptionGroup(next(words), [ValueError(next(words))]) from cause
    except ExceptionGroup:
        logger.exception("it failed")


def test_an_error_in_the_path_of_a_request_has_types_and_places_but_no_words(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, written = lines
    within(lambda: failing(logger), request_id=lambda: None)
    text = written.getvalue()
    assert "s3cr3t" not in text
    types = ("builtins.KeyError", "builtins.ValueError", "builtins.ExceptionGroup")
    assert all(part in text for part in ("it failed", "Traceback", "in failing", *types))
    assert text.index("builtins.KeyError") < text.index("builtins.ExceptionGroup")


def test_any_other_error_has_its_words(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = lines
    within(lambda: failing(logger), stream="s")
    assert "s3cr3t-2" in written.getvalue()


def test_a_key_loses_its_secret_wherever_it_is(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = lines
    within(lambda: logger.warning("stream %s", KEY), stream=KEY)
    assert "s3cr3t" not in written.getvalue()
    assert written.getvalue().count("nbt_0123456789ab_...") == 2
