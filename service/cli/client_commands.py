"""Commands that ask a running service: its streams, the forecasts of a stream, its outcomes as they come."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from ..client.sync import Client
from ..errors import CommandError
from ..schemas import Outcome, Said
from .options import Json, Stream, Url, address, key, print_

app = typer.Typer()


@app.command(epilog="Example: nobacktrack streams --url http://127.0.0.1:9000")
def streams(url: Url = None, as_json: Json = False) -> None:
    """List the streams of a service, and how many events each has learnt."""
    with Client(address(url), key=key(), retries=0) as client:
        found = client.heads()
    table = Table("stream", "version", "targets")
    for head in found:
        table.add_row(head.name, str(head.version), ", ".join(head.targets))
    print_(as_json, {"streams": [{"name": head.name, "version": head.version} for head in found]}, table)


@app.command(epilog="Example: nobacktrack forecast taxi --horizon 24")
def forecast(
    stream: Stream,
    horizon: Annotated[int, typer.Option(min=1, help="Steps ahead.")] = 1,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Print the forecasts of a stream without inputs. Changes nothing."""
    with Client(address(url), key=key(), retries=0) as client:
        found = client.forecast(stream, horizon)
    after = f"version {found.version}" + (f" and {found.pending} that wait for labels" if found.pending else "")
    table = Table("step", "target", "forecast", "lower", "upper", title=f"{stream}, after {after}")
    for number, step in enumerate(found.steps, start=1):
        for name, said in step.mean.items():
            table.add_row(str(number), name, _text(said), _text(step.lower[name]), _text(step.upper[name]))
    print_(as_json, found.model_dump(), table)


@app.command(epilog="Example: nobacktrack watch taxi --from 100")
def watch(
    stream: Stream,
    after: Annotated[
        int | None,
        typer.Option("--from", min=0, help="Begin after this version; by default, with the next event.", metavar="V"),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="End after this many outcomes; by default, at Ctrl-C.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Print the outcomes of a stream as they come, whoever sends the events; with --json, one object a line."""
    with Client(address(url), key=key()) as client:
        try:
            version = client.status(stream).version
            _say_where(stream, after, version)
            for number, outcome in enumerate(client.watch(stream, after), start=1):
                print(outcome.model_dump_json() if as_json else _line(outcome), flush=True)
                if number == count:
                    return
        except KeyboardInterrupt:
            return
    raise CommandError(f"the service has ended the watch of {stream}: run the command again to go on watching")


def _say_where(stream: str, after: int | None, version: int) -> None:
    """Say on standard error what comes first, so that nobody takes a quiet stream for a command that hangs."""
    if after is None or after == version:
        text = "waiting for the next event"
    elif after < version:
        text = f"printing the {version - after:,} outcomes after version {after:,}, then those to come"
    else:
        text = f"waiting for version {after + 1:,}"
    print(f"{stream} is at version {version:,}; {text}", file=sys.stderr, flush=True)


def _line(outcome: Outcome) -> str:
    """One outcome as a line of text."""
    said = ", ".join(f"{name} {_text(value)}" for name, value in outcome.prediction.items())
    scores = f"loss {_text(outcome.loss)} (baseline {_text(outcome.baseline_loss)}), anomaly {_text(outcome.anomaly)}"
    return f"{datetime.now(UTC):%H:%M:%S} version {outcome.version}: predicted {said}; {scores}"


def _text(said: Said) -> str:
    if said is None:
        return "-"
    if isinstance(said, dict):
        likeliest = max(said, key=lambda symbol: said[symbol] or 0.0)
        return f"{likeliest} ({said[likeliest]:.2f})"
    return f"{said:.4g}"
