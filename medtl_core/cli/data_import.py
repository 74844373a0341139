"""`medtl data import`: from folders, tables, DICOM and NIfTI files to an archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    from medtl_core.data.importers.cases import Listing, Problems

Source = Annotated[Path, typer.Argument(help="Folder of the images.")]
Out = Annotated[Path, typer.Option(metavar="NAME.npz", help="The archive, a new file.")]
Size = Annotated[int, typer.Option(help="Pixels a side of every image in the archive.")]
Fit = Annotated[str, typer.Option(help="pad: whole images on black; crop: their central squares.")]
Colours = Annotated[str | None, typer.Option(help="grey or rgb; rgb if any file is in colour, by default.")]
WindowText = Annotated[
    str | None,
    typer.Option("--window", metavar="LOW:HIGH", help="For 16-bit and float images: 0:4095, or 1%:99%."),
]
Patient = Annotated[
    str | None, typer.Option(metavar="REGEX", help="The patient in a file's path, such as '(person\\d+)'.")
]
MaskSuffix = Annotated[
    str | None, typer.Option(help="_mask takes a_mask.png as the mask of a.png; '' says there are none.")
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Leave out what cannot be read, and list it at the end.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Files read at a time; one for each core by default.")
]

Column = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Its column; guessed from names if none, '' for no such.")
]

import_app = typer.Typer(help="Make an archive of your own images.", no_args_is_help=True)


@import_app.command()
def folders(
    source: Source,
    out: Out,
    size: Size = 64,
    fit: Fit = "pad",
    colours: Colours = None,
    window: WindowText = None,
    patient: Patient = None,
    mask_suffix: MaskSuffix = None,
    keep_going: KeepGoing = False,
    workers: Workers = None,
) -> None:
    """A folder for each class: SOURCE/normal/a.png, or SOURCE/train/normal/a.png with published splits."""
    from medtl_core.data.importers.cases import Problems
    from medtl_core.data.importers.folders import list_folders

    problems = Problems(keep_going)
    listing = list_folders(source, problems, patient=patient, mask_suffix=mask_suffix)
    _import(listing, out, problems, size, fit, colours, window, workers)


@import_app.command()
def csv(
    table: Annotated[Path, typer.Argument(help="The table, one row for each image.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; the table's own if none.")
    ] = None,
    image: Column = None,
    label: Column = None,
    patient: Column = None,
    site: Column = None,
    split: Column = None,
    mask: Column = None,
    keep: Annotated[list[str] | None, typer.Option(help="A column that becomes metadata; repeat it.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="One character; found in the first line if none.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="UTF-8, or what a byte-order mark says, if none.")
    ] = None,
    size: Size = 64,
    fit: Fit = "pad",
    colours: Colours = None,
    window: WindowText = None,
    keep_going: KeepGoing = False,
    workers: Workers = None,
) -> None:
    """A table and a folder of images; what a column means is guessed from its name, and said."""
    from medtl_core.data.importers.cases import Problems
    from medtl_core.data.importers.columns import Columns
    from medtl_core.data.importers.table import list_table

    problems = Problems(keep_going)
    listing = list_table(
        table,
        images or table.parent,
        problems,
        Columns(image, label, patient, site, split, mask),
        keep=keep or (),
        delimiter=delimiter,
        encoding=encoding,
    )
    _import(listing, out, problems, size, fit, colours, window, workers)


@import_app.command()
def dicom(
    source: Source,
    out: Out,
    size: Size = 64,
    fit: Fit = "pad",
    colours: Colours = None,
    window: WindowText = None,
    patient: Patient = None,
    keep_going: KeepGoing = False,
    workers: Workers = None,
) -> None:
    """DICOM files in a folder for each class; patients by their headers, as numbers, or by --patient."""
    from medtl_core.data.importers.cases import Problems
    from medtl_core.data.importers.dicom import PATIENTS, import_dicom, is_dicom
    from medtl_core.data.importers.folders import list_folders

    import_dicom()
    problems = Problems(keep_going)
    listing = list_folders(
        source, problems, patient=patient, mask_suffix="", meant=is_dicom, otherwise=PATIENTS
    )
    _import(listing, out, problems, size, fit, colours, window, workers)


@import_app.command()
def nifti(
    source: Source,
    out: Out,
    size: Size = 64,
    fit: Fit = "pad",
    plane: Annotated[str, typer.Option(help="axial, coronal or sagittal slices.")] = "axial",
    window: WindowText = None,
    patient: Patient = None,
    mask_suffix: MaskSuffix = None,
    keep_going: KeepGoing = False,
    workers: Workers = None,
) -> None:
    """Slices of NIfTI volumes in a folder for each class; a volume is a patient, or --patient says who."""
    from medtl_core.data.importers.cases import Problems
    from medtl_core.data.importers.nifti import import_nifti, list_volumes

    import_nifti()
    problems = Problems(keep_going)
    listing = list_volumes(source, problems, patient=patient, mask_suffix=mask_suffix)
    _import(listing, out, problems, size, fit, None, window, workers, plane)


@import_app.command()
def volumes(
    source: Annotated[Path, typer.Argument(help="Folder of NIfTI volumes, one a patient.")],
    out: Out,
    size: Annotated[int, typer.Option(help="Voxels a side of every volume in the archive.")] = 48,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks that have the names of their volumes.")
    ] = None,
    mask_name: Annotated[
        list[str] | None, typer.Option(help="Name of a mask value, from 0 on; repeat it.")
    ] = None,
    window: WindowText = None,
) -> None:
    """Whole NIfTI volumes with their masks, for segmentation."""
    from medtl_core.data.importers.whole_volumes import import_volumes
    from medtl_core.data.importers.window import Window

    done = import_volumes(
        source,
        out,
        size=size,
        masks=masks,
        mask_names=mask_name or (),
        window=None if window is None else Window.parse(window),
    )
    for line in done.provenance:
        print(plain(line))
    print(plain(f"{out}: {done.n} volumes; look at them with `medtl data audit {out.stem}`"))


def _import(
    listing: "Listing",
    out: Path,
    problems: "Problems",
    size: int,
    fit: str,
    colours: str | None,
    window: str | None,
    workers: int | None,
    plane: str = "axial",
) -> None:
    from medtl_core.data.importers.frame import Frame
    from medtl_core.data.importers.importing import import_archive
    from medtl_core.data.importers.window import Window
    from medtl_core.data.phantoms.phantoms import SPECS
    from medtl_core.settings import data_folder

    if out.stem in SPECS:
        raise MedtlError(f"--out: found '{out}', the name of a phantom set; choose another name")
    frame = Frame(size, fit, colours, None if window is None else Window.parse(window), plane)
    done = import_archive(listing, frame, out, problems, workers=workers, progress=True)
    for line in done.notes:
        print(plain(line))
    for name, count in done.images.items():
        print(plain(f"{name}: {count} images"))
    for problem in done.problems:
        typer.echo(plain(f"medtl: left out: {problem}"), err=True)
    place = done.path.parent.resolve()
    where = "" if data_folder() == place else f"export MEDTL_DATA={place}, then "
    print(plain(f"{done.path}: look for leaks with: {where}medtl data audit {done.path.stem}"))
