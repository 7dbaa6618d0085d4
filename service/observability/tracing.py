"""Traces of the way of an event, where OTEL_EXPORTER_OTLP_ENDPOINT asks for them; needs `nobacktrack[otel]`.

    POST /v1/streams/{stream}/events    the request, by FastAPI's own telemetry
    └── observe                         a batch of events, which may be those of several requests: those are linked
        ├── learn
        └── commit                      with what waits for replicas
            └── EVALSHA commit          the script in Redis

redis-py 8.1 has metrics of its own and no spans; metrics are for Prometheus. A WebSocket has no span, which would last
for days and hold millions: each of its batches is a trace by itself. Probes have none. A span says which stream, how
many events, up to which version; of a request its method, template and path, and nothing that was sent with it.

The exporter and the sampler read their OTEL_ variables by themselves. Without tracing a span costs a call.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextvars import Context
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from ..settings import Settings
from .logs import without_secrets

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger(__name__)

NAME = "nobacktrack"
FLUSH_SECONDS = 3.0
"""How long sending the last spans may take when the service ends."""
LINKS = 32
"""The most requests that the span of a batch is linked with."""
UNTRACED = frozenset({"/livez", "/readyz", "/metrics"})
NO_TELEMETRY: "TelemetryConfig" = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Turns off FastAPI's telemetry, which would export the messages of errors as well."""

_tracer: Tracer | None = None


def start(settings: Settings) -> "TracerProvider | None":
    """Begin to trace if the settings ask for it and the extra is installed; the result is for `stop`."""
    global _tracer
    if not settings.otlp_endpoint or settings.otel_traces_exporter != "otlp":
        return None
    try:
        provider = _provider()
    except ImportError as error:
        logger.warning(
            "there are no traces, although OTEL_EXPORTER_OTLP_ENDPOINT is set: %s is not installed; "
            "pip install 'nobacktrack[otel]'", error.name,
        )  # fmt: skip
        return None
    _tracer = provider.get_tracer(NAME, version(NAME))
    return provider


async def stop(provider: "TracerProvider | None") -> None:
    """Send the last spans, for at most FLUSH_SECONDS."""
    global _tracer
    if provider is None:
        return
    _tracer = None
    # A thread of its own: the event loop waits for its pool, and a receiver that hangs takes half a minute.
    last = threading.Thread(target=provider.shutdown, daemon=True)
    last.start()
    await asyncio.to_thread(last.join, FLUSH_SECONDS)


def telemetry(provider: "TracerProvider | None") -> "TelemetryConfig":
    """The telemetry that FastAPI is to do."""
    if provider is None:
        return NO_TELEMETRY
    return {
        **NO_TELEMETRY,
        "tracing": True,
        "tracer_provider": provider,
        "operation_spans": False,
        "exclude": lambda scope: scope["type"] == "websocket" or scope["path"] in UNTRACED,
    }


def batch(
    stream: str, events: int, origins: Iterable[Context | None]
) -> contextlib.AbstractContextManager[Span | None]:
    """The span of a batch of events that were put into the queue at these places."""
    if _tracer is None:
        return _NOTHING
    spans = dict.fromkeys(origin.run(get_current_span) for origin in origins if origin is not None)
    requests = [span for span in spans if span is not INVALID_SPAN]
    parent = set_span_in_context(requests[0] if requests else INVALID_SPAN, contexts.Context())
    links = [Link(span.get_span_context()) for span in requests[1 : LINKS + 1]]
    return _traced(_tracer, "observe", _attributes(stream, events), parent=parent, links=links)


def span(name: str, stream: str, events: int, version: int) -> contextlib.AbstractContextManager[Span | None]:
    """The span of a step with the events of a stream; `version` is the version after the last of them."""
    if _tracer is None:
        return _NOTHING
    return _traced(_tracer, name, {**_attributes(stream, events), f"{NAME}.version": version})


def script(name: str) -> contextlib.AbstractContextManager[Span | None]:
    """The span of a script in Redis. A script outside of any span is not traced."""
    if _tracer is None or get_current_span() is INVALID_SPAN:
        return _NOTHING
    attributes = {"db.system.name": "redis", "db.operation.name": "EVALSHA", "db.stored_procedure.name": name}
    return _traced(_tracer, f"EVALSHA {name}", attributes, kind=SpanKind.CLIENT)


_NOTHING: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


def _attributes(stream: str, events: int) -> dict[str, str | int]:
    return {f"{NAME}.stream": stream, f"{NAME}.events": events}


@contextlib.contextmanager
def _traced(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, str | int],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: contexts.Context | None = None,
    links: list[Link] | None = None,
) -> Iterator[Span]:
    """A span that records the type of an error but not its message, which may repeat what was sent."""
    quiet: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
    with tracer.start_as_current_span(
        name, context=parent, kind=kind, attributes=dict(attributes), links=links, **quiet
    ) as found:
        try:
            yield found
        except BaseException as error:
            found.set_attribute("error.type", type(error).__qualname__)
            found.set_status(StatusCode.ERROR)
            raise


def _provider() -> "TracerProvider":
    """A provider that sends spans as OTLP over HTTP. Raises ImportError where the extra is not installed."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import Span as Recorded
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Discreet(SpanProcessor):
        """Hides the query and secrets in the address of FastAPI's span of a request."""

        def on_start(self, span: Recorded, parent_context: contexts.Context | None = None) -> None:
            attributes = span.attributes or {}
            if "url.query" in attributes:
                span.set_attribute("url.query", "REDACTED")
            if "url.path" in attributes:
                span.set_attribute("url.path", without_secrets(str(attributes["url.path"])))

    named = {"service.name": NAME, "service.version": version(NAME)}
    resource = Resource.create(named | dict(OTELResourceDetector().detect().attributes))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(Discreet())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
