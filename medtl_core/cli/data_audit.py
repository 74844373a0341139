"""`medtl data audit`: what could make a result look better; `medtl data leaks`: what would name a person."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def audit(
    name: Annotated[str, typer.Argument(help="Name of a data set; `medtl data list` shows them.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write NAME.md, NAME.json, NAME.croissant.json and, of findings, NAME.png there.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Look for copies, near duplicates, leaks between splits and shortcuts; ends in a verdict."""
    from medtl_core.data.auditing.report import full_audit, volume_audit
    from medtl_core.data.sources import registry

    card = registry.card(name)
    if card.volume is None:
        archive = registry.load(name)
        report = full_audit(archive, card)
    else:
        volumes = registry.load_volumes(name)
        archive = volumes.sections()
        report = volume_audit(volumes, card)
    if json:
        print(json_text.dumps(report.values(), indent=1))
    else:
        print(plain(report.text()))
    if out is not None:
        from medtl_core.data.auditing.croissant import croissant_metadata
        from medtl_core.data.auditing.markdown import markdown
        from medtl_core.data.auditing.sheets import finding_sheet
        from medtl_core.files import write_json, write_text

        path = registry.locate(name)
        file = f"{name}.npz" if path is None else path.name
        written = [out / f"{name}.md", out / f"{name}.json", out / f"{name}.croissant.json"]
        write_text(written[0], markdown(report))
        write_json(written[1], report.values())
        write_json(written[2], croissant_metadata(report, file, registry.checksum(name)))
        sheet = finding_sheet(archive, report.findings)
        if sheet is not None:
            written.append(out / f"{name}.png")
            sheet.save(written[-1])
        for each in written:
            typer.echo(plain(str(each)), err=json)


def leaks(
    source: Annotated[Path, typer.Argument(help="Folder of DICOM files.")], json: JsonFlag = False
) -> None:
    """Tell what in the headers of DICOM files would name a person, without values. Status 1 if any."""
    from medtl_core.data.importers.dicom import import_dicom
    from medtl_core.data.importers.dicom_leaks import header_leaks

    import_dicom()
    report = header_leaks(source)
    if json:
        print(json_text.dumps(report.values(), indent=1))
    else:
        print(plain(report.text()))
    if not report.files:
        raise MedtlError(f"{source}: found no DICOM file, expected a folder of them; check the path")
    if report.leaks:
        raise typer.Exit(1)
