"""The command line: reads the arguments, calls the code that does the work, turns a failure into one line."""

import contextlib
import itertools
import re
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from ..client.sync import Client, ClientError
from ..errors import CommandError
from ..server.sockets import listen
from ..settings import read_settings
from . import client_commands, key_commands, local_service, settings_command, store_commands
from .demo import run as demo
from .demo.daily import Seasons
from .demo.sources import Machine
from .options import DataDir, Host, Json, Port, Url, key, print_
from .progress import progress_bar, waiting
from .replay import csv_events
from .replay.replay import replay as replay_rows
from .replay.report import Recording, page

app = typer.Typer(
    name="nobacktrack",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(key_commands.app, name="keys")

app.add_typer(store_commands.app)
app.add_typer(client_commands.app)
app.add_typer(settings_command.app)


def _version(asked: bool) -> None:
    if asked:
        print(f"nobacktrack {version('nobacktrack')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Online learning for time series.

    Exit codes: 0, done; 1, it failed, and the last line says why; 2, the arguments are wrong; 130, interrupted.
    """


def main() -> None:
    """The entry point of `nobacktrack`."""
    # SIGTERM ends a command as cleanly as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="nobacktrack")
    except (CommandError, ClientError) as error:
        _fail(str(error))
    except ModuleNotFoundError:
        raise  # nobacktrack.__main__ says what to install
    except Exception as error:
        # Not foreseen, so the traceback is worth having. The last line says why, as for every other failure.
        traceback.print_exc()
        _fail(f"unexpected {type(error).__name__}: {error}; a fault of nobacktrack, see the lines above")


def _fail(reason: str) -> NoReturn:
    print(f"{local_service.PREFIX}{' '.join(reason.split())}", file=sys.stderr)
    sys.exit(1)


@app.command(epilog="Example: nobacktrack serve --port 9000 --data-dir /var/lib/nobacktrack")
def serve(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a store of its own even where REDIS_URL names one.")
    ] = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", hidden=True)] = False,
    parent_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    log_file: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM. Without REDIS_URL it starts its own store in the data directory."""
    settings = read_settings(host=host, port=port, data_dir=data_dir)
    if embedded:
        settings = settings.model_copy(update={"redis_url": None})
    if anonymous:
        settings = settings.model_copy(update={"keys_file": None})
    with listen(settings.host, settings.port, settings.socket_seconds) as listener:
        # Imported here because it loads the compiler, which takes a second that no other command needs.
        from ..server.run import run

        run(settings, listener, typer.echo, None if parent_fd is None else socket.socket(fileno=parent_fd), log_file)


@app.command("demo", epilog="Example: nobacktrack demo --port 9000")
def demo_(
    port: Port = None,
    data_dir: DataDir = None,
    url: Url = None,
    source: Annotated[
        Literal["machine", "seasons"],
        typer.Option(help="machine: this machine's own rates; seasons: a made-up series."),
    ] = "machine",
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two measurements.")] = 1.0,
    log_every: Annotated[float, typer.Option(min=0.0, hidden=True)] = 10.0,
) -> None:
    """Predict this machine's own load, memory, network and disk rates, or a made-up series, live until Ctrl-C.

    Starts its own service unless --url names one. The stream stays in the store, and the next run continues it.
    """
    console = Console()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        if url is None:
            settings = read_settings(port=port, data_dir=data_dir)
            with waiting(console, "starting the service; the first start compiles the kernels") as say:
                service = local_service.LocalService(settings.data_dir, port=settings.port, say=say)
                stack.enter_context(service)
            client = stack.enter_context(Client(service.url, key=key(), retries=0))
            check: Callable[[], None] = service.check
        else:
            client = stack.enter_context(Client(url, key=key(), retries=0))
            with waiting(console, f"waiting for {url}"):
                local_service.wait_until_ready(client)
            check = _unwatched
        # Made once the service is ready: the first rates are means since this moment.
        fed = Machine() if source == "machine" else Seasons()
        demo.run(client, console, fed, interval=interval, log_every=log_every, check=check)


@app.command(epilog="Example: nobacktrack replay taxi.csv --target rides --time timestamp")
def replay(
    file: Annotated[
        Path, typer.Argument(help="A CSV file with a header; an empty cell is a missing value.", metavar="FILE.csv")
    ],
    targets: Annotated[list[str], typer.Option("--target", help="Column to predict; repeatable.", metavar="COLUMN")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Column that is known in advance; repeatable.", metavar="COLUMN")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of ISO 8601 times.", metavar="COLUMN")] = None,
    stream: Annotated[str | None, typer.Option(help="Name of the stream.", show_default="the file's name")] = None,
    url: Url = None,
    units: Annotated[int | None, typer.Option(min=1, help="Size of the network.", show_default="64")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write charts and scores into one HTML file.", metavar="OUT.html")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a CSV file through a service and print how well it was predicted.

    Starts a private service with a temporary store unless --url names one. Persistence predicts the last value.
    """
    name = stream or re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem)[:64]
    rows = csv_events.read(file, targets, inputs or [], time)
    first = next(rows, None)
    if first is None:
        raise CommandError(f"{file} has no rows below its header: add events, or name another file")
    if report is not None and not report.parent.is_dir():
        # Checked before the work, not after it.
        raise CommandError(f"there is no directory {report.parent}: create it, or choose another file for --report")
    config: dict[str, Any] = {"targets": targets, "inputs": inputs or []} | ({} if units is None else {"units": units})
    lines = csv_events.count_lines(file)
    with _service(url) as address, Client(address, key=key()) as client, progress_bar(lines) as progress:
        used = client.create(name, config).config
        recording = None if report is None else Recording(targets)
        record = None if recording is None else recording.add
        result = replay_rows(client, name, itertools.chain([first], rows), targets, progress, record)
    if report is not None and recording is not None:
        _write(report, page(result, recording, used))
    print_(as_json, result.to_dict(), result.to_table())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; choose another file for --report") from error


def _unwatched() -> None:
    """The check of a service that somebody else runs: only its answers say whether it still runs."""


@contextlib.contextmanager
def _service(url: str | None) -> Iterator[str]:
    """Yield `url`, or the URL of a private service when it is None."""
    with contextlib.ExitStack() as stack:
        if url is None:
            text = "starting a private service; the first start compiles the kernels"
            with waiting(Console(stderr=True), text) as say:
                url = stack.enter_context(local_service.private_service(say))
        yield url
