"""Commands that work on a store, whether or not a service runs on it: replays, exports, imports.

Each imports its work when it runs, because that loads the compiler.
"""

import asyncio
import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..errors import CommandError
from ..schemas import STREAM_NAME
from ..settings import read_settings
from .options import DataDir, Json, Stream, print_

app = typer.Typer()


@app.command("replay-log", epilog="Example: nobacktrack replay-log taxi --set learning_rate=0.003")
def replay_log_(
    stream: Stream,
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
    from ..offline import replay_log
    from ..store import factory

    tried = dict(map(replay_log.setting, changes or []))

    async def rebuilt() -> replay_log.Replayed:
        async with factory.open_store(read_settings(data_dir=data_dir)) as store:
            return await replay_log.rebuild(store, stream, first, last)

    async def compared() -> tuple[replay_log.Losses, ...]:
        async with factory.open_store(read_settings(data_dir=data_dir)) as store:
            return await replay_log.compare(store, stream, tried, first, last)

    if tried:
        table = Table("settings", "events", "loss", "baseline's", "ratio")
        rows = asyncio.run(compared())
        for row in rows:
            named = ", ".join(f"{name}={value}" for name, value in row.settings.items()) or "as they are"
            table.add_row(named, f"{row.events:,}", f"{row.loss:.4g}", f"{row.baseline:.4g}", f"{row.ratio:.4g}")
        values = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows]
        print_(as_json, {"stream": stream, "learners": values}, table)
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
        raise CommandError(f"a stored learner of {stream} is not what its log makes")


@app.command("export", epilog="Example: nobacktrack export taxi taxi.nbt")
def export_(
    stream: Stream,
    file: Annotated[Path, typer.Argument(help="What to write; replaced when it exists.", metavar="FILE")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write a stream to one file: configuration, learner, log, outcomes and the events that wait for labels.

    It may go on learning meanwhile.
    """
    from ..offline import archive
    from ..store import factory

    async def work() -> archive.Summary:
        async with factory.open_store(read_settings(data_dir=data_dir)) as store:
            return await archive.export(store, stream, file)

    _say(as_json, asyncio.run(work()), f"written to {file}")


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
    from ..offline import archive
    from ..store import factory

    if name is not None and not re.fullmatch(STREAM_NAME, name):
        raise CommandError("a stream's name is 1 to 64 letters, digits, _ or -")
    chosen = read_settings(data_dir=data_dir)
    if chosen.redis_url is None:
        chosen.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def work() -> archive.Summary:
        async with factory.open_store(chosen) as store:
            return await archive.restore(store, file, name, chosen.max_streams)

    _say(as_json, asyncio.run(work()), f"read from {file}")


def _say(as_json: bool, summary: Any, what: str) -> None:
    table = Table("stream", "version", "log from", "ids known", "pending", title=what)
    numbers = (summary.version, summary.begins, summary.outcomes, summary.pending)
    table.add_row(summary.stream, *map(str, numbers))
    print_(as_json, dataclasses.asdict(summary), table)
