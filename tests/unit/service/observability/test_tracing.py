"""Spans of batches, and the end of tracing."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nobacktrack.service.observability import tracing
from nobacktrack.service.settings import Settings


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where the spans of this process go for now."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def request(name: str) -> contextvars.Context:
    """Where the events of a request are put into the queue."""
    assert tracing._tracer is not None
    with tracing._tracer.start_as_current_span(name):
        return contextvars.copy_context()


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def test_a_batch_belongs_to_the_first_of_its_requests_and_is_linked_with_the_others(
    exported: InMemorySpanExporter,
) -> None:
    nowhere = contextvars.Context()
    places = [nowhere, request("a"), request("b"), request("c")]
    with tracing.batch("s", 5, [places[0], places[1], places[1], places[2], places[3], None]):
        pass
    a, b, c, batch = exported.get_finished_spans()
    assert batch.parent is not None
    assert (batch.parent.trace_id, batch.parent.span_id) == ids(a)
    assert [(link.context.trace_id, link.context.span_id) for link in batch.links] == [ids(b), ids(c)]
    assert dict(batch.attributes or {}) == {"nobacktrack.stream": "s", "nobacktrack.events": 5}


def test_a_batch_of_no_request_is_a_trace_by_itself(exported: InMemorySpanExporter) -> None:
    """Also where the task was started in the path of a request, as that of a queue is."""

    def work() -> None:
        with tracing.batch("s", 1, [contextvars.Context()]):
            pass

    request("a").run(work)
    assert exported.get_finished_spans()[-1].parent is None


def test_a_span_of_what_failed_has_the_type_and_not_the_words(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="s3cr3t"), tracing.span("learn", "s", 1, 1):
        raise ValueError("s3cr3t")
    (span,) = exported.get_finished_spans()
    assert "s3cr3t" not in span.to_json()
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert not span.status.is_ok


def test_a_script_outside_of_everything_is_not_traced(exported: InMemorySpanExporter) -> None:
    with tracing.script("create"):
        pass
    assert exported.get_finished_spans() == ()


def test_without_tracing_a_span_is_nothing() -> None:
    assert tracing.start(Settings()) is None
    assert tracing.start(Settings(otlp_endpoint="")) is None
    assert tracing.start(Settings(otlp_endpoint="http://127.0.0.1:1", otel_traces_exporter="none")) is None
    assert tracing.batch("s", 1, []) is tracing.span("learn", "s", 1, 1) is tracing.script("commit")
    assert not any(value for value in tracing.telemetry(None).values())


def test_a_receiver_that_hangs_does_not_keep_the_service_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "FLUSH_SECONDS", 0.05)
    hanging = threading.Event()

    class Hangs:
        def shutdown(self) -> None:
            hanging.wait(20)

    before = time.monotonic()
    asyncio.run(tracing.stop(cast("Any", Hangs())))
    assert time.monotonic() - before < 10
    hanging.set()
