"""`nobacktrack settings`: the value of each setting, and where the value comes from."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..settings import read_settings, unknown
from ..settings.describe import shown

app = typer.Typer()


@app.command(epilog="Example: NBT_PORT=9000 nobacktrack settings")
def settings(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every setting as a service would read it here: its value, and whether the environment gives it.

    Secrets are not shown. docs/OPERATIONS.md says what each means.
    """
    rows = shown(read_settings())
    if as_json:
        print(json.dumps({"settings": [dataclasses.asdict(row) for row in rows], "unknown": unknown()}))
        return
    table = Table("setting", "value", "from")
    for row in rows:
        table.add_row(row.name, escape(row.value), row.source, style="bold" if row.source != "default" else None)
    Console().print(table)
    for name in unknown():
        typer.echo(f"{name} is no setting", err=True)
