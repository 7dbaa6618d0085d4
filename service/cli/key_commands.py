"""`nobacktrack keys`: create, list and revoke the keys of a service."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import CommandError
from ..security import keys
from ..settings import read_settings

app = typer.Typer(help="Create, list and revoke the keys of a service.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option(help="The keys file.", metavar="FILE", show_default="NBT_KEYS_FILE")]


@app.command(epilog="Example: nobacktrack keys create --scope 'plant-*' --role write --name line-3")
def create(
    scope: Annotated[
        str, typer.Option(help="A stream's name, or the beginning of names followed by *.", metavar="SCOPE")
    ],
    role: Annotated[keys.Role, typer.Option(help="read; write: also send events; admin: everything.")],
    name: Annotated[
        str | None, typer.Option(help="A name for the key; need not be unique.", show_default="the key's id")
    ] = None,
    file: File = None,
) -> None:
    """Create a key and print it once: the file holds only its digest. A running service accepts it within a second."""
    path = _path(file)
    token, key = keys.create(path, role, scope, name)
    print(token)
    typer.echo(f"{key.name} ({key.id}) may {key.role} {key.scope}; this key is not shown again", err=True)


@app.command("list", epilog="Example: nobacktrack keys list")
def list_(file: File = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys that are accepted. The keys themselves are not stored, so they cannot be shown."""
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
    """Revoke a key: a running service refuses it within a second. Give the id where several keys share a name."""
    key = keys.revoke(_path(file), which)
    typer.echo(f"{key.name} ({key.id}) is revoked", err=True)


def _path(given: Path | None) -> Path:
    path = given or read_settings().keys_file
    if path is None:
        raise CommandError("there is no keys file: name one with --file or in NBT_KEYS_FILE")
    return path
