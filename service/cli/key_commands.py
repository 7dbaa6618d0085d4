"""`nobacktrack keys`: make keys, show what is known of them, revoke them."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import CommandError
from ..security import keys
from ..settings import read_settings

app = typer.Typer(help="Keys of a service: who may do what.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option(help="The keys file.", metavar="FILE", show_default="NBT_KEYS_FILE")]


@app.command(epilog="Example: nobacktrack keys create --scope 'plant-*' --role write --name line-3")
def create(
    scope: Annotated[str, typer.Option(help="A stream, or the beginning of names and *.", metavar="SCOPE")],
    role: Annotated[keys.Role, typer.Option(help="read; write: also send events; admin: everything.")],
    name: Annotated[
        str | None, typer.Option(help="What the key is called; need not be unique.", show_default="the key's id")
    ] = None,
    file: File = None,
) -> None:
    """Make a key and print it, once: the file holds only a digest. A running service knows it within a second."""
    path = _path(file)
    token, key = keys.create(path, role, scope, name)
    print(token)
    typer.echo(f"{key.name} ({key.id}) may {key.role} {key.scope}; this key is not shown again", err=True)


@app.command("list", epilog="Example: nobacktrack keys list")
def list_(file: File = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the keys that are accepted. What they are, nobody knows but their holders."""
    found = keys.read(_path(file))
    if as_json:
        print(json.dumps({"keys": [key.model_dump(mode="json", exclude={"sha256"}) for key in found]}))
        return
    table = Table("name", "id", "role", "scope", "created")
    for key in found:
        table.add_row(key.name, key.id, key.role, key.scope, key.created.isoformat())
    Console().print(table)


@app.command(epilog="Example: nobacktrack keys revoke line-3")
def revoke(
    which: Annotated[str, typer.Argument(help="Name or id of the key.", metavar="NAME")], file: File = None
) -> None:
    """Make a key worthless, within a second. Of several keys with one name, name the id."""
    key = keys.revoke(_path(file), which)
    typer.echo(f"{key.name} ({key.id}) is revoked", err=True)


def _path(given: Path | None) -> Path:
    path = given or read_settings().keys_file
    if path is None:
        raise CommandError("which file? Name it with --file, or in NBT_KEYS_FILE")
    return path
