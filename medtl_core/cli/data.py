"""`medtl data`: what data sets there are, getting one, looking at one, checking them."""

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from medtl_core.cli.data_audit import audit, leaks
from medtl_core.cli.data_import import import_app
from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Name = Annotated[str, typer.Argument(help="Name of a data set; `medtl data list` shows them.")]

PNG = b"\x89PNG"

data_app = typer.Typer(
    help="Data sets: list, fetch, show, verify, audit, leaks, import.", no_args_is_help=False
)
data_app.add_typer(import_app, name="import")
data_app.command()(audit)
data_app.command()(leaks)


@data_app.command("list")
def list_sets(json: JsonFlag = False) -> None:
    """List the data sets: phantoms, archives on this machine, what publishers have."""
    from medtl_core.data.sources.registry import names

    rows = [_row(name) for name in names()]
    if json:
        print(json_text.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = ("name", "from", "images", "pixels", "classes", "licence")
    table = Table()
    for column in columns:
        # A name is never cut: it is what the other commands are given.
        longest = max(len(row["name"]) for row in rows)
        table.add_column(column, overflow="fold", min_width=longest if column == "name" else None)
    for row in rows:
        table.add_row(*(escape(plain(str(row[column]))) for column in columns))
    Console().print(table)


@data_app.command()
def fetch(name: Name) -> None:
    """Get a data set from its publisher, checked against its checksum; an interrupted download is resumed."""
    from medtl_core.data.sources.registry import fetch as fetch_set

    print(fetch_set(name))


@data_app.command()
def show(
    name: Name,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Contact sheet; runs/sheets/NAME.png if none is given."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Print the data card and write a contact sheet."""
    from medtl_core.data import cards
    from medtl_core.data.sources import registry
    from medtl_core.settings import project_root

    found = registry.card(name)
    if found.volume is None:
        archive = registry.load(name)
        card = cards.card(archive, None, found)
    else:
        volumes = registry.load_volumes(name)
        archive = volumes.sections()
        card = cards.volume_card(volumes, found)
    target = sheet or project_root() / "runs" / "sheets" / f"{name}.png"
    if target.is_file() and not target.read_bytes().startswith(PNG):
        raise MedtlError(f"--sheet {target}: exists and is not a PNG image; choose another file")
    cards.contact_sheet(archive).save(target)
    if json:
        print(json_text.dumps(card.description | {"sheet": str(target)}, indent=1))
    else:
        print(plain(str(card)))
        print(target)


@data_app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="Name of a data set; all that need no download if none.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Read data sets whole: checksums, every rule of the archive, and that they can be split."""
    from medtl_core.data.sources.registry import verify as verify_sets

    results = verify_sets(name)
    if json:
        print(json_text.dumps([asdict(result) for result in results], indent=1))
    else:
        for result in results:
            if result.ok:
                print(plain(f"{result.name}: {result.text}"))
    broken = [result for result in results if not result.ok]
    for result in broken[:-1]:
        typer.echo(plain(f"medtl: {' '.join(result.text.split())}"), err=True)
    if broken:
        raise MedtlError(broken[-1].text)


def _row(name: str) -> dict[str, Any]:
    from medtl_core.data.sources.registry import card

    try:
        found = card(name)
    except MedtlError as error:
        return {
            "name": name,
            "from": "",
            "images": "",
            "pixels": "",
            "classes": "",
            "licence": f"unusable: {error}",
        }
    size = found.size if found.volume is None else " x ".join(map(str, found.volume))
    return {
        "name": name,
        "from": found.location,
        "images": found.n,
        "pixels": f"{size} {'grey' if found.channels == 1 else 'RGB'}",
        "classes": len(found.class_names),
        "licence": found.licence,
    }
