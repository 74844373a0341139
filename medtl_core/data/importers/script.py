"""The command line of a script that imports one published data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from medtl_core.data.importers.cases import Listing, Problems
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import Imported, import_archive
from medtl_core.errors import MedtlError


def import_published(
    list_cases: Callable[[Path, Problems], Listing],
    source: Path,
    out: Path,
    size: int = 64,
    *,
    keep_going: bool = False,
    progress: bool = False,
) -> Imported:
    """Import a publisher's folder as `list_cases` reads it, padded; errors as `import_archive`."""
    problems = Problems(keep_going)
    return import_archive(list_cases(source, problems), Frame(size), out, problems, progress=progress)


def run(list_cases: Callable[[Path, Problems], Listing]) -> None:
    """Run a script: SOURCE OUT [--size 64] [--keep-going]; bad input is one line and exit status 2."""

    def command(
        source: Annotated[Path, typer.Argument(help="The publisher's folder.")],
        out: Annotated[Path, typer.Argument(metavar="NAME.npz", help="The archive, a new file.")],
        size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
        keep_going: Annotated[bool, typer.Option(help="Leave out what cannot be read, and list it.")] = False,
    ) -> None:
        try:
            done = import_published(list_cases, source, out, size, keep_going=keep_going, progress=True)
        except MedtlError as error:
            typer.echo(f"medtl: {error}", err=True)
            raise typer.Exit(2) from error
        for line in (*done.notes, *done.problems, str(done.path)):
            typer.echo(line)

    typer.run(command)
