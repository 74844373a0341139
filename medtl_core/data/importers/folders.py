"""A folder per class: chest/normal/*.png, or chest/train/normal/*.png with published splits."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from medtl_core.data.importers.cases import Case, Listing, Problems, checked_classes
from medtl_core.data.importers.decode import SUFFIXES
from medtl_core.data.importers.scan import scan
from medtl_core.errors import MedtlError

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
NO_PATIENTS = "no patients: images of one patient may stand in two splits"


def list_folders(
    source: Path,
    problems: Problems,
    *,
    patient: str | None = None,
    mask_suffix: str | None = None,
    meant: Callable[[Path], bool] | None = None,
    otherwise: str = NO_PATIENTS,
) -> Listing:
    """The cases of a folder that holds one folder for each class, at any depth below it.

    Where the folders on top are all train, val, test (or validation, testing, ...), they are the splits and
    the class folders stand below them.

    Args:
        patient: regular expression, searched in the path within `source`; its first group, or else the whole
            match, is the patient. None: no patients.
        mask_suffix: `_mask` takes `a_mask.png` and `a_mask_1.png` as masks of `a.png` in the same folder; ""
            takes every file as an image; None does so too, and refuses files that look like masks.
        meant: which files are images; None: those with a suffix that Pillow reads.
        otherwise: the sentence about patients where the path does not say them.

    Raises:
        MedtlError: no folder, no images, fewer than two classes, a bad expression, files that look like
            masks; and single files without a class or masks without an image, unless `problems` keeps them.
    """
    pattern = _compiled(patient)
    inner, notes = scan(source, meant or (lambda path: path.suffix.lower() in SUFFIXES), problems)
    images, masks = _pair(inner, mask_suffix, source, problems)
    split_layout = _has_split_layout(images, source)
    cases = []
    for path in images:
        folders = path.parts[1:-1] if split_layout else path.parts[:-1]
        if not folders:
            problems.add(
                MedtlError(f"{path.as_posix()}: found no class folder around it, expected CLASS/{path.name}")
            )
            continue
        cases.append(
            Case(
                path=source / path,
                name=path.as_posix(),
                label=folders[0],
                patient=None if pattern is None else _found(pattern, path),
                split=SPLIT_FOLDERS[path.parts[0].lower()] if split_layout else None,
                masks=tuple(source / mask for mask in masks[path]),
            )
        )
    classes = checked_classes((case.label for case in cases), str(source))
    notes = [f"source: one folder for each class, {source.resolve().name}", *notes]
    if split_layout:
        notes.append("splits: as the folders on top say")
    if any(case.masks for case in cases):
        notes.append(f"masks: files with {mask_suffix} after the image's name")
    return Listing(tuple(cases), classes, (*notes, _patients(cases, patient, source, otherwise)))


def _patients(cases: Sequence[Case], patient: str | None, source: Path, otherwise: str) -> str:
    if patient is None:
        return otherwise
    found = sum(bool(case.patient) for case in cases)
    if not found:
        raise MedtlError(
            f"--patient {patient}: found in none of {len(cases)} paths such as '{cases[0].name}' of "
            f"{source}, expected a match; change the expression"
        )
    return f"patients: {patient} in the path, found for {found} of {len(cases)} files"


def _compiled(patient: str | None) -> re.Pattern[str] | None:
    try:
        return None if patient is None else re.compile(patient)
    except re.error as error:
        raise MedtlError(
            f"--patient {patient}: found no regular expression ({error}), expected one such as '(person\\d+)'"
        ) from error


def _found(pattern: re.Pattern[str], path: PurePath) -> str:
    match = pattern.search(path.as_posix())
    return "" if match is None else (match[1] if pattern.groups else match[0]) or ""


def _has_split_layout(images: Sequence[Path], source: Path) -> bool:
    top = {path.parts[0] for path in images if len(path.parts) > 1}
    words = {name for name in top if name.lower() in SPLIT_FOLDERS}
    if words and top - words:
        raise MedtlError(
            f"{source}: found '{min(words)}' beside '{min(top - words)}', expected class folders alone or "
            "split folders alone (train, val, test) on top; move one of them away"
        )
    return bool(words)


def _pair(
    inner: Sequence[Path], suffix: str | None, source: Path, problems: Problems
) -> tuple[list[Path], defaultdict[Path, list[Path]]]:
    """The images, and the masks of each."""
    masks: defaultdict[Path, list[Path]] = defaultdict(list)
    if suffix == "":
        return list(inner), masks
    end = re.compile(f"(.+){re.escape(suffix or '_mask')}(?:[ _-]?\\d+)?$", re.IGNORECASE)
    is_mask = {path: match[1] for path in inner if (match := end.match(_stem(path)))}
    if suffix is None and is_mask:
        raise MedtlError(
            f"{source}: found {len(is_mask)} files such as '{min(is_mask).as_posix()}' that look like masks, "
            "expected to be told; say --mask-suffix _mask, or --mask-suffix '' if they are images"
        )
    if not is_mask:
        return list(inner), masks
    images = {path.with_name(_stem(path)): path for path in inner if path not in is_mask}
    for path, stem in is_mask.items():
        image = images.get(path.with_name(stem))
        if image is None:
            problems.add(
                MedtlError(
                    f"{path.as_posix()}: found a mask without an image, expected an image '{stem}' in the "
                    "same folder; add it or remove the mask"
                )
            )
        else:
            masks[image].append(path)
    return [path for path in inner if path not in is_mask], masks


def _stem(path: PurePath) -> str:
    return PurePath(path.stem).stem if path.suffix == ".gz" else path.stem
