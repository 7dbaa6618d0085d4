"""The command line: reads arguments, calls what does the work, turns a failure into one line and exit code 1."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from service import csv_events, demo, key_commands, local
from service.client import Client, ClientError
from service.environment import settings as _settings
from service.failure import Failure
from service.listen import listen
from service.replay import replay as replay_rows
from service.schemas import STREAM_NAME

app = typer.Typer(
    name="nobacktrack",
    help="Online learning for time series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(key_commands.app, name="keys")

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default="8000")]
DataDir = Annotated[Path | None, typer.Option(help="Where the data is kept.", show_default=".nobacktrack")]
Url = Annotated[str | None, typer.Option(help="A service that runs already, such as http://127.0.0.1:8000.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def main() -> None:
    """The entry point of `nobacktrack`."""
    # A kill is as clean as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="nobacktrack")
    except (Failure, ClientError) as error:
        print(f"{local.PREFIX}{error}", file=sys.stderr)
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
) -> None:
    """Run the service until Ctrl-C or a kill. Without REDIS_URL it starts a store of its own in the data directory."""
    settings = _settings(host=host, port=port, data_dir=data_dir)
    if embedded:
        settings = settings.model_copy(update={"redis_url": None})
    if anonymous:
        settings = settings.model_copy(update={"keys_file": None})
    with listen(settings.host, settings.port, settings.socket_seconds) as listener:
        # Here, because it loads the compiler: a second that neither a port in use nor another command waits for.
        from service.serve import run

        run(settings, listener, typer.echo, None if parent_fd is None else socket.socket(fileno=parent_fd))


@app.command("demo", epilog="Example: nobacktrack demo --port 9000")
def demo_(
    port: Port = None,
    data_dir: DataDir = None,
    url: Url = None,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two measurements.")] = 1.0,
    log_every: Annotated[float, typer.Option(min=0.0, hidden=True)] = 10.0,
) -> None:
    """Predict this machine's own load, memory, network and disk rates, live, until Ctrl-C.

    Starts a service of its own unless --url names one. The stream stays in the store: run it again and it goes on.
    """
    console = Console()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        if url is None:
            settings = _settings(port=port, data_dir=data_dir)
            service = local.LocalService(settings.data_dir, port=settings.port)
            with _waiting(console, "starting the service; the first time it compiles the kernels"):
                stack.enter_context(service)
            client = stack.enter_context(Client(service.url, key=_key(), retries=0))
            demo.run(client, console, interval=interval, log_every=log_every, check=service.check)
        else:
            client = stack.enter_context(Client(url, key=_key(), retries=0))
            with _waiting(console, f"waiting for {url}"):
                local.wait_until_ready(client)
            demo.run(client, console, interval=interval, log_every=log_every, check=lambda: None)


@app.command(epilog="Example: nobacktrack replay taxi.csv --target rides --time timestamp")
def replay(
    file: Annotated[Path, typer.Argument(help="CSV with a header; an empty cell is missing.", metavar="FILE.csv")],
    targets: Annotated[list[str], typer.Option("--target", help="Column to predict; repeatable.", metavar="COLUMN")],
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Column known beforehand; repeatable.", metavar="COLUMN")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of ISO 8601 times.", metavar="COLUMN")] = None,
    stream: Annotated[str | None, typer.Option(help="Name of the stream.", show_default="the file's name")] = None,
    url: Url = None,
    units: Annotated[int | None, typer.Option(min=1, help="Size of the network.", show_default="64")] = None,
    as_json: Json = False,
) -> None:
    """Send a CSV file through a service, and say how well it was predicted.

    Through a private service with a temporary store, unless --url names one. Persistence predicts the last value.
    """
    name = stream or re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem)[:64]
    rows = csv_events.read(file, targets, inputs or [], time)
    first = next(rows, None)
    if first is None:
        raise Failure(f"{file} has no rows")
    config: dict[str, Any] = {"targets": targets, "inputs": inputs or []} | ({} if units is None else {"units": units})
    lines = csv_events.count_lines(file)
    with _service(url) as address, Client(address, key=_key()) as client, _progress(lines) as progress:
        client.create(name, config)
        report = replay_rows(client, name, itertools.chain([first], rows), targets, progress)
    _print(as_json, report.to_dict(), report.to_table())


@app.command(epilog="Example: nobacktrack streams --url http://127.0.0.1:9000")
def streams(url: Url = None, as_json: Json = False) -> None:
    """List the streams of a service, and how many events each has learnt."""
    settings = _settings()
    with Client(url or f"http://{settings.host}:{settings.port}", key=_key()) as client:
        found = client.heads()
    table = Table("stream", "version", "targets")
    for head in found:
        table.add_row(head.name, str(head.version), ", ".join(head.targets))
    _print(as_json, {"streams": [{"name": head.name, "version": head.version} for head in found]}, table)


@app.command("replay-log", epilog="Example: nobacktrack replay-log taxi --set learning_rate=0.003")
def replay_log_(
    stream: Annotated[str, typer.Argument(help="Name of the stream.", metavar="STREAM")],
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="Version to begin at: 0 or a checkpoint's.", metavar="V")
    ] = None,
    last: Annotated[int | None, typer.Option("--to", min=0, help="Version to end at.", metavar="V")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A setting to try; repeatable.", metavar="NAME=VALUE")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Rebuild a learner from the log of its stream and compare it, bit for bit, with the stored ones.

    With --set, two new learners read the log, one as the stream's and one with these settings, and their losses are
    printed. Works on the store of REDIS_URL or of the data directory, whether or not a service runs on it.
    """
    # Here and below: these load the compiler.
    from service import replay_log, stores

    chosen = dict(map(replay_log.setting, changes or []))

    async def rebuilt() -> replay_log.Replayed:
        async with stores.open_store(_settings(data_dir=data_dir)) as store:
            return await replay_log.rebuild(store, stream, first, last)

    async def compared() -> tuple[replay_log.Losses, ...]:
        async with stores.open_store(_settings(data_dir=data_dir)) as store:
            return await replay_log.compare(store, stream, chosen, first, last)

    if chosen:
        table = Table("settings", "events", "loss", "baseline's", "ratio")
        rows = asyncio.run(compared())
        for row in rows:
            named = ", ".join(f"{name}={value}" for name, value in row.settings.items()) or "as they are"
            table.add_row(named, f"{row.events:,}", f"{row.loss:.4g}", f"{row.baseline:.4g}", f"{row.ratio:.4g}")
        values = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows]
        _print(as_json, {"stream": stream, "learners": values}, table)
        return
    result = asyncio.run(rebuilt())
    if as_json:
        print(json.dumps(dataclasses.asdict(result)))
    else:
        print(f"{stream}, replayed from version {result.begins} to {result.version}")
        for version, same in result.stored.items():
            print(f"the learner stored at version {version} is {'the same, bit for bit' if same else 'ANOTHER ONE'}")
        print(f"digest {result.digest}")
    if not all(result.stored.values()):
        raise Failure(f"a stored learner of {stream} is not what its log makes")


@app.command("export", epilog="Example: nobacktrack export taxi taxi.nbt")
def export_(
    stream: Annotated[str, typer.Argument(help="Name of the stream.", metavar="STREAM")],
    file: Annotated[Path, typer.Argument(help="What to write; replaced when it exists.", metavar="FILE")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write a stream to one file: configuration, learner, log and outcomes. It may go on learning meanwhile."""
    from service import archive, stores

    async def work() -> archive.Summary:
        async with stores.open_store(_settings(data_dir=data_dir)) as store:
            return await archive.export(store, stream, file)

    _print_summary(as_json, asyncio.run(work()), f"written to {file}")


@app.command("import", epilog="Example: nobacktrack import taxi.nbt --as taxi-2")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--as", help="Another name for the stream.", metavar="STREAM", show_default="its own")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a stream from a file: the same history, to the bit. An import that was broken off is completed."""
    from service import archive, stores

    if name is not None and not re.fullmatch(STREAM_NAME, name):
        raise Failure("a stream's name is 1 to 64 letters, digits, _ or -")
    settings = _settings(data_dir=data_dir)
    if settings.redis_url is None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def work() -> archive.Summary:
        async with stores.open_store(settings) as store:
            return await archive.restore(store, file, name, settings.max_streams)

    _print_summary(as_json, asyncio.run(work()), f"read from {file}")


def _key() -> str | None:
    """The key with which this person asks a service."""
    key = _settings().key
    return None if key is None else key.get_secret_value()


def _print_summary(as_json: bool, summary: Any, what: str) -> None:
    table = Table("stream", "version", "log from", "ids known", title=what)
    table.add_row(summary.stream, str(summary.version), str(summary.begins), str(summary.outcomes))
    _print(as_json, dataclasses.asdict(summary), table)


@contextlib.contextmanager
def _service(url: str | None) -> Iterator[str]:
    """The URL of the service to use: the one given, or a private one."""
    with contextlib.ExitStack() as stack:
        if url is None:
            with _waiting(Console(stderr=True), "starting a private service; the first time it compiles the kernels"):
                url = stack.enter_context(local.private_service())
        yield url


@contextlib.contextmanager
def _waiting(console: Console, text: str) -> Iterator[None]:
    """Say why nothing happens."""
    if console.file.isatty():
        with console.status(text):
            yield
    else:
        print(text, file=console.file, flush=True)
        yield


@contextlib.contextmanager
def _progress(lines: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar over the lines of a file, on standard error; nothing where that is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("lines"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.file.isatty()) as bar:
        task = bar.add_task("", total=lines)

        def reached(line: int) -> None:
            # Drawing is slower than learning.
            if line % 100 == 0 or line == lines:
                bar.update(task, completed=line)

        yield reached


def _print(as_json: bool, values: dict[str, Any], table: Table) -> None:
    if as_json:
        print(json.dumps(values))
    else:
        Console().print(table)
