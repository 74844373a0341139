"""What can be wrong with a data set, one function a kind: each gives a finding, or None where all is well."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.duplicates import is_constant, split_leaks
from medtl_core.data.groups import is_unknown

EXAMPLES = 5
AMONG = ", among them "  # what follows in the text of a finding are names of groups


@dataclass(frozen=True)
class Finding:
    """One kind of trouble.

    Attributes:
        kind: `identical_images`, `conflicting_labels`, `identical_across_groups`, `constant_images`,
            `unscaled_values`, `unknown_groups`, `class_is_domain`, `group_across_splits`,
            `identical_across_splits` or `not_measurable`.
        count: number of images (of groups for `group_across_splits`) that it touches.
        examples: the first few, as tuples of indices into the archive, or names of groups.
        text: one sentence with the count and what it is a share of.
    """

    kind: str
    count: int
    examples: tuple
    text: str


def identical(ids: NDArray[np.int64]) -> Finding | None:
    """Images that equal another one; ids (N,) of `duplicates.linking_ids`, as in all that follow."""
    copied = np.flatnonzero(np.bincount(ids)[ids] > 1)
    distinct = len(np.unique(ids))
    text = f"{len(copied)} of {len(ids)} images are pixel-identical to another one ({distinct} distinct)"
    return _finding("identical_images", len(copied), _alike(ids, copied), text)


def conflicting(archive: Archive, ids: NDArray[np.int64]) -> Finding | None:
    """Equal images with different labels."""
    cases = np.flatnonzero(np.isin(ids, split_leaks(ids, archive.labels)))
    text = f"{len(cases)} of {archive.n} images have a pixel-identical twin of another class"
    return _finding("conflicting_labels", len(cases), _alike(ids, cases), text)


def across_groups(archive: Archive, ids: NDArray[np.int64]) -> Finding | None:
    """Equal images of different known groups."""
    if archive.groups is None:
        return None
    known = ~is_unknown(archive.groups)
    cases = np.flatnonzero(known & np.isin(ids, split_leaks(ids[known], archive.groups[known])))
    text = f"{len(cases)} of {archive.n} images have a pixel-identical twin in another group"
    return _finding("identical_across_groups", len(cases), _alike(ids, cases), text)


def constant(archive: Archive) -> Finding | None:
    """Images of one grey value or colour; they link no groups and hold nothing to be learnt."""
    cases = np.flatnonzero(is_constant(archive.images))
    text = f"{len(cases)} of {archive.n} images are constant: all their pixels have one value"
    return _finding("constant_images", len(cases), _singly(cases), text)


def unscaled(archive: Archive) -> Finding | None:
    """Grey values that reach from 0 to 1 alone: an image scaled to 0..1 and then cut to integers."""
    highest = int(archive.images.max())
    text = (
        f"no grey value of the {archive.n} images is above {highest} of 255: scaled to 0..1 before rounding?"
    )
    return _finding("unscaled_values", archive.n, (), text) if highest <= 1 else None


def unknown_groups(archive: Archive) -> Finding | None:
    """Cases whose patient nobody knows, in an archive that has groups."""
    if archive.groups is None:
        return None
    cases = np.flatnonzero(is_unknown(archive.groups))
    text = (
        f"{len(cases)} of {archive.n} images have no known group; each counts as a group of its own, so that "
        "images of one patient may stand in two splits"
    )
    return _finding("unknown_groups", len(cases), _singly(cases), text)


def class_is_domain(archive: Archive) -> Finding | None:
    """Every domain holds one class alone: whoever recognises the domain knows the class."""
    if archive.domains is None:
        return None
    names, domain = np.unique(archive.domains, return_inverse=True)
    pairs = np.unique(np.stack([domain, archive.labels]), axis=1)
    if len(names) < 2 or pairs.shape[1] > len(names) or len(np.unique(pairs[1])) < 2:
        return None
    text = f"each of the {len(names)} domains holds one class alone, so that the domain gives the class away"
    return Finding("class_is_domain", archive.n, (), text)


def group_leak(archive: Archive, words: NDArray[np.str_]) -> Finding | None:
    """Groups in two parts; words (N,) of train, val, test, empty where a case is in none."""
    if archive.groups is None:
        return None
    used = (words != "") & ~is_unknown(archive.groups)
    leaking = split_leaks(archive.groups[used], words[used])
    total = len(np.unique(archive.groups[used]))
    text = f"{len(leaking)} of {total} groups stand in more than one split{AMONG}{', '.join(leaking[:3])}"
    return _finding("group_across_splits", len(leaking), tuple(leaking[:EXAMPLES]), text)


def image_leaks(ids: NDArray[np.int64], words: NDArray[np.str_]) -> list[Finding | None]:
    """Equal images in two parts, one finding a pair of parts."""
    findings = []
    for seen, judged in (("train", "val"), ("train", "test"), ("val", "test")):
        cases = np.flatnonzero((words == judged) & np.isin(ids, ids[words == seen]))
        among = np.concatenate([np.flatnonzero(words == seen), cases])
        total = int((words == judged).sum())
        text = f"{len(cases)} of {total} {judged} images are pixel-identical to {seen} images"
        examples = tuple(
            (int(among[np.argmax(ids[among] == ids[case])]), int(case)) for case in cases[:EXAMPLES]
        )
        findings.append(_finding("identical_across_splits", len(cases), examples, text))
    return findings


def _finding(kind: str, count: int, examples: tuple, text: str) -> Finding | None:
    return Finding(kind, count, examples, text) if count else None


def _alike(ids: NDArray[np.int64], cases: NDArray) -> tuple:
    distinct = list(dict.fromkeys(ids[cases].tolist()))[:EXAMPLES]
    return tuple(tuple(np.flatnonzero(ids == value).tolist()) for value in distinct)


def _singly(cases: NDArray) -> tuple:
    return tuple((int(case),) for case in cases[:EXAMPLES])
