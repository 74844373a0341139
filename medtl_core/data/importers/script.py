"""The command line of a script that imports one published data set, and fetches it where that is allowed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medtl_core.data.importers.cases import Listing, Problems
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import Imported, import_archive
from medtl_core.data.importers.window import Window
from medtl_core.data.sources.publication import Publication, fetch
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class Script:
    """What a script says of its data set; all the rest is the importers' core.

    Attributes:
        list_cases: the cases of the publisher's folder.
        publication: where it comes from.
        window, plane: as `Frame`, where the data set needs them.
    """

    list_cases: Callable[[Path, Problems], Listing]
    publication: Publication
    window: Window | None = None
    plane: str = "axial"

    def import_published(
        self,
        source: Path,
        out: Path,
        size: int = 64,
        *,
        keep_going: bool = False,
        progress: bool = False,
    ) -> Imported:
        """Import the publisher's folder, padded to squares.

        Raises:
            MedtlError: as `import_archive`; where there is no such folder, the error says how to get it.
        """
        if not source.is_dir():
            raise MedtlError(f"{source}: no such folder, expected the publisher's; {self.publication.remedy}")
        problems = Problems(keep_going)
        listing = self.list_cases(source, problems)
        frame = Frame(size, window=self.window, plane=self.plane)
        return import_archive(listing, frame, out, problems, progress=progress)

    def run(self) -> None:
        """SOURCE OUT [--size 64] [--download] [--keep-going]; bad input is one line, exit status 2."""

        def command(
            source: Annotated[Path, typer.Argument(help="The publisher's folder.")],
            out: Annotated[Path, typer.Argument(metavar="NAME.npz", help="The archive, a new file.")],
            size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
            download: Annotated[
                bool, typer.Option("--download", help="Fetch it from the publisher into SOURCE first.")
            ] = False,
            keep_going: Annotated[
                bool, typer.Option("--keep-going", help="Leave out what cannot be read, and list it.")
            ] = False,
        ) -> None:
            try:
                if download:
                    for line in fetch(self.publication, source):
                        typer.echo(line)
                done = self.import_published(source, out, size, keep_going=keep_going, progress=True)
            except MedtlError as error:
                typer.echo(f"medtl: {error}", err=True)
                raise typer.Exit(2) from error
            for line in (*done.notes, *done.problems, str(done.path)):
                typer.echo(line)

        typer.run(command)
