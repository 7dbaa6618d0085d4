"""Options that several commands share, the key and address of the service to ask, the printing of results."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..settings import read_settings

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default="8000")]
DataDir = Annotated[Path | None, typer.Option(help="Directory of the data.", show_default=".nobacktrack")]
Url = Annotated[str | None, typer.Option(help="Address of a running service, such as http://127.0.0.1:8000.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Stream = Annotated[str, typer.Argument(help="Name of the stream.", metavar="STREAM")]


def key() -> str | None:
    """The key that requests are sent with: NBT_KEY, or None."""
    found = read_settings().key
    return None if found is None else found.get_secret_value()


def address(url: str | None) -> str:
    """`url`, or the address in the settings when it is None."""
    chosen = read_settings()
    return url or f"http://{chosen.host}:{chosen.port}"


def print_(as_json: bool, values: dict[str, Any], table: Table) -> None:
    """Print a result: `values` as JSON for scripts, or `table` for people."""
    if as_json:
        print(json.dumps(values))
    else:
        Console().print(table)
