"""The demo: sends measurements to a running service and shows how well it predicts them."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live

from ...client.sync import ApiError, Client, ClientError, Unreachable
from ...errors import CommandError
from ...schemas import Event, Outcome, StreamStatus
from .history import History
from .screen import closing, line, screen

PATIENCE_SECONDS = 30.0
"""How long an event is repeated to a service that does not answer."""
LATENCY_EVERY = 5
"""Events between two readings of the service's own measure of its latency."""


class Source(Protocol):
    """Where measurements come from: `nobacktrack.service.cli.demo.sources`, `nobacktrack.service.cli.demo.daily`."""

    @property
    def stream(self) -> str:
        """The stream that the measurements go to."""

    @property
    def title(self) -> str:
        """The name of the source, as people see it."""

    @property
    def units(self) -> Mapping[str, str]:
        """The targets, and the unit of each."""

    def sample(self) -> dict[str, float | None]:
        """Measure now: a value for each target, None for a missing one."""


def run(
    client: Client,
    console: Console,
    source: Source,
    *,
    interval: float,
    log_every: float,
    check: Callable[[], None],
) -> None:
    """Feed the service and show its predictions until Ctrl-C or SIGTERM, then print a summary.

    A measurement every `interval` seconds; without a terminal, a line every `log_every` seconds. `check`
    raises CommandError when a service that does not answer is not worth waiting for. Raises CommandError, ClientError.
    """
    history = History(source.units)
    show = _on_screen if console.file.isatty() else _in_lines
    with contextlib.suppress(KeyboardInterrupt):
        fed = feed(client, history, source, interval=interval, check=check)
        show(console, history, fed, f"{source.title}, at {client.url}", log_every)
    _say(console, closing(history))


def feed(
    client: Client, history: History, source: Source, *, interval: float, check: Callable[[], None]
) -> Iterator[None]:
    """Send a measurement every `interval` seconds, for ever; yields when `history` has its outcome."""
    history.version = _ensure_stream(client, source).version
    while True:
        # Not a fixed grid of times: a machine that was asleep has nothing to catch up with.
        time.sleep(interval)
        at = datetime.now(UTC)
        event = Event(id=at.isoformat(), time=at, y={**source.sample()})
        sent = time.monotonic()
        outcome = _send(client, source.stream, event, check)
        history.add(event, outcome, time.monotonic() - sent)
        if history.events % LATENCY_EVERY == 1:
            history.update_seconds = mean_update_seconds(client)
        yield


def mean_update_seconds(client: Client) -> float | None:
    """How long the service needs to learn an event, from its metrics; None when it does not say."""
    try:
        families = text_string_to_metric_families(client.metrics())
        samples = {sample.name: sample.value for family in families for sample in family.samples}
    except (ClientError, ValueError):
        return None
    count = samples.get("nobacktrack_update_seconds_count", 0.0)
    return samples["nobacktrack_update_seconds_sum"] / count if count else None


def _on_screen(console: Console, history: History, events: Iterator[None], subject: str, log_every: float) -> None:
    with Live(screen(history, subject), console=console, auto_refresh=False) as live:
        for _ in events:
            live.update(screen(history, subject), refresh=True)


def _in_lines(console: Console, history: History, events: Iterator[None], subject: str, log_every: float) -> None:
    _say(console, f"feeding {subject}")
    due = time.monotonic() + log_every
    for _ in events:
        if time.monotonic() >= due:
            due = time.monotonic() + log_every
            _say(console, line(history))


def _say(console: Console, text: str) -> None:
    """Print one line as it is, without wrapping or colours."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _ensure_stream(client: Client, source: Source) -> StreamStatus:
    """The stream of an earlier run, if its targets are the same, or a new one."""
    try:
        status = client.status(source.stream)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        status = client.create(source.stream, targets=list(source.units))
    if status.config.get("targets") != list(source.units):
        raise CommandError(
            f"the stream {source.stream} at {client.url} has other targets: delete it, or use another --data-dir"
        )
    return status


def _send(client: Client, stream: str, event: Event, check: Callable[[], None]) -> Outcome:
    """Send an event until it has an outcome. Its id makes that safe: an event that is sent twice is learnt once."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return client.observe(stream, event.values, time=event.time, id=event.id)
        except (Unreachable, ApiError) as error:
            passing = isinstance(error, Unreachable) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
            if not passing or time.monotonic() > deadline:
                raise
        check()
        time.sleep(0.5)
