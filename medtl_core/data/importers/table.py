"""A csv table and a folder of images: the cases of its rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from medtl_core.data.importers.cases import Case, Listing, Problems, checked_classes, plain_name
from medtl_core.data.importers.columns import Columns
from medtl_core.data.importers.csv_rows import Row, read_rows
from medtl_core.data.importers.folders import NO_PATIENTS, SPLIT_FOLDERS
from medtl_core.data.importers.reading import is_readable
from medtl_core.data.importers.scan import scan
from medtl_core.errors import MedtlError

UNKNOWN_SITE = "unknown"
# From columns and rows of a table to those that are read, and sentences about the change.
Prepare = Callable[[list[str], list[Row]], tuple[list[str], list[Row], list[str]]]


def list_table(
    table: Path,
    images: Path,
    problems: Problems,
    columns: Columns | None = None,
    *,
    keep: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    prepare: Prepare | None = None,
) -> Listing:
    """The cases that the rows of a table name.

    An image is named by its path within `images`, or by its file's name with or without the suffix, where
    only one file has it; case and Unicode form count only where they decide between two files.

    Args:
        columns: what the columns say; None guesses all of them.
        keep: further columns that become metadata, as text.
        delimiter, encoding: as `read_rows`.
        prepare: changes the table of a publisher that is no list of images with one label each.

    Raises:
        MedtlError: as `read_rows`, `Columns.resolved` and `scan`, fewer than two classes; and rows without an
            image, a label or one label only, a path that leaves the folder, an image that two rows name or
            two files could be, a split that is none, unless `problems` keeps them.
    """
    names, rows, notes = read_rows(table, problems, delimiter, encoding)
    if prepare is not None:
        names, rows, changes = prepare(names, rows)
        notes += changes
    where, said = (columns or Columns()).resolved(names, table.name)
    if lacking := [name for name in keep if name not in names]:
        raise MedtlError(f"--keep {lacking[0]}: found no such column in {table.name}")
    files, left_out = scan(images, is_readable, problems)
    index = _Index(files)
    cases: dict[Path, Case] = {}
    lines: dict[Path, int] = {}
    used: set[Path] = set()
    for row in rows:
        try:
            case, inner, mask = _case(row, where, index, images, keep)
            if inner in lines:
                raise MedtlError(
                    f"found '{inner.as_posix()}' as in line {lines[inner]}, expected one row an image"
                )
        except MedtlError as error:
            problems.add(MedtlError(f"{table.name}, line {row.line}: {error}"))
            continue
        cases[inner], lines[inner] = case, row.line
        used |= {inner, *mask}
    classes = checked_classes((case.label for case in cases.values()), table.name)
    notes += [*said, *left_out, *index.notes()]
    if unnamed := len(set(files) - used):
        notes.append(f"left out: {unnamed} files that the table does not name")
    if where.patient:
        known = sum(bool(case.patient) for case in cases.values())
        notes.append(f"patients: known for {known} of {len(cases)} images")
    else:
        notes.append(NO_PATIENTS)
    return Listing(tuple(cases.values()), classes, tuple(notes))


def _case(
    row: Row, where: Columns, index: "_Index", images: Path, keep: Sequence[str]
) -> tuple[Case, Path, list[Path]]:
    cells = {role: row.cells[name] if name else None for role, name in vars(where).items()}
    inner = index.find(cells["image"] or "", "image")
    label = cells["label"] or ""
    if not label:
        raise MedtlError(f"found no label for '{inner.as_posix()}', expected the name of a class")
    if "|" in label:
        raise MedtlError(f"found several labels, '{label}', expected one; multi-label sets are not supported")
    mask = [index.find(cells["mask"], "mask")] if cells["mask"] else []
    site, split = cells["site"], cells["split"]
    if split is not None and split.lower() not in SPLIT_FOLDERS:
        raise MedtlError(
            f"found the split '{split}', expected train, val or test (--split '' ignores the column)"
        )
    case = Case(
        path=images / inner,
        name=inner.as_posix(),
        label=label,
        patient=cells["patient"],
        site=None if site is None else site or UNKNOWN_SITE,
        split=None if split is None else SPLIT_FOLDERS[split.lower()],
        masks=tuple(images / path for path in mask),
        extra={name: row.cells[name] for name in keep},
    )
    return case, inner, mask


class _Index:
    """Files by every way in which a table may name them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.paths = {path.as_posix(): path for path in files}
        self.names = _by(files, lambda name: name)
        self.plain = _by(files, plain_name)
        self.loosely = Counter[str]()

    def find(self, text: str, role: str) -> Path:
        """The file within the folder that `text` names; MedtlError for none, several, or one outside."""
        if not text:
            raise MedtlError(f"found no name of the {role}, expected a file's name")
        path = PurePosixPath(text.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise MedtlError(f"found the {role} '{text}', expected a path that stays within the folder")
        if path.as_posix() in self.paths:
            return self.paths[path.as_posix()]
        found = self.names.get(path.as_posix(), [])
        if not found and (found := self.plain.get(plain_name(path.as_posix()), [])):
            self.loosely[role] += 1
        if len(found) != 1:
            files = ", ".join(f"'{each.as_posix()}'" for each in found[:3]) or "no such file"
            raise MedtlError(f"found {files} for the {role} '{text}', expected one file; give its whole path")
        return found[0]

    def notes(self) -> list[str]:
        return [
            f"{role}: {count} names matched without case or Unicode form"
            for role, count in self.loosely.items()
        ]


def _by(files: Sequence[Path], key: Callable[[str], str]) -> dict[str, list[Path]]:
    index: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        stem = path.with_suffix("") if path.suffix != ".gz" else path.with_suffix("").with_suffix("")
        for name in {key(n) for n in (path.as_posix(), path.name, stem.as_posix(), stem.name)}:
            index[name].append(path)
    return dict(index)
