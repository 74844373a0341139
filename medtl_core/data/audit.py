"""What in a data set could make a result look better than it is."""

from dataclasses import dataclass

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.duplicates import content_ids, split_leaks
from medtl_core.data.splits import Split

_EXAMPLES = 5
_LEAKS = ("group_across_splits", "identical_across_splits")


@dataclass(frozen=True)
class Finding:
    """One kind of trouble.

    Attributes:
        kind: `identical_images`, `conflicting_labels`, `identical_across_groups`, `group_across_splits`
            or `identical_across_splits`.
        count: number of images (of groups for `group_across_splits`) that it touches.
        examples: the first few, as tuples of indices into the archive, or names of groups.
        text: one sentence with the count and what it is a share of.
    """

    kind: str
    count: int
    examples: tuple
    text: str


@dataclass(frozen=True)
class Audit:
    """All findings about one archive, none if it is clean."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> bool:
        """Whether anything stands in more than one split."""
        return any(finding.kind in _LEAKS for finding in self.findings)

    def text(self) -> str:
        """One line per finding."""
        lines = [finding.text for finding in self.findings]
        return "\n".join(lines or ["no identical images, no conflicting labels, nothing in two splits"])


def audit(archive: Archive, split: Split | None = None) -> Audit:
    """Look for identical images, labels that contradict each other, and leaks between splits.

    Args:
        split: the split to judge; None judges the published one, if there is one.
    """
    ids = content_ids(archive.images)
    findings = [_identical(ids), _conflicting(archive, ids), _across_groups(archive, ids)]
    words = archive.splits if split is None else _words(archive.n, split)
    if words is not None:
        findings += [_group_leak(archive, words), *_image_leaks(ids, words)]
    return Audit(archive.name, tuple(finding for finding in findings if finding is not None))


def _identical(ids: np.ndarray) -> Finding | None:
    copied = np.flatnonzero(np.bincount(ids)[ids] > 1)
    distinct = len(np.unique(ids))
    text = f"{len(copied)} of {len(ids)} images are pixel-identical to another one ({distinct} distinct)"
    return _finding("identical_images", len(copied), _alike(ids, copied), text)


def _conflicting(archive: Archive, ids: np.ndarray) -> Finding | None:
    cases = np.flatnonzero(np.isin(ids, split_leaks(ids, archive.labels)))
    text = f"{len(cases)} of {archive.n} images have a pixel-identical twin of another class"
    return _finding("conflicting_labels", len(cases), _alike(ids, cases), text)


def _across_groups(archive: Archive, ids: np.ndarray) -> Finding | None:
    if archive.groups is None:
        return None
    cases = np.flatnonzero(np.isin(ids, split_leaks(ids, archive.groups)))
    text = f"{len(cases)} of {archive.n} images have a pixel-identical twin in another group"
    return _finding("identical_across_groups", len(cases), _alike(ids, cases), text)


def _group_leak(archive: Archive, words: np.ndarray) -> Finding | None:
    if archive.groups is None:
        return None
    used = words != ""
    leaking = split_leaks(archive.groups[used], words[used])
    total = len(np.unique(archive.groups[used]))
    text = (
        f"{len(leaking)} of {total} groups stand in more than one split, among them {', '.join(leaking[:3])}"
    )
    return _finding("group_across_splits", len(leaking), tuple(leaking[:_EXAMPLES]), text)


def _image_leaks(ids: np.ndarray, words: np.ndarray) -> list[Finding | None]:
    findings = []
    for seen, judged in (("train", "val"), ("train", "test"), ("val", "test")):
        cases = np.flatnonzero((words == judged) & np.isin(ids, ids[words == seen]))
        among = np.concatenate([np.flatnonzero(words == seen), cases])
        total = int((words == judged).sum())
        text = f"{len(cases)} of {total} {judged} images are pixel-identical to {seen} images"
        examples = tuple(
            (int(among[np.argmax(ids[among] == ids[case])]), int(case)) for case in cases[:_EXAMPLES]
        )
        findings.append(_finding("identical_across_splits", len(cases), examples, text))
    return findings


def _finding(kind: str, count: int, examples: tuple, text: str) -> Finding | None:
    return Finding(kind, count, examples, text) if count else None


def _alike(ids: np.ndarray, cases: np.ndarray) -> tuple:
    distinct = list(dict.fromkeys(ids[cases].tolist()))[:_EXAMPLES]
    return tuple(tuple(np.flatnonzero(ids == value).tolist()) for value in distinct)


def _words(n: int, split: Split) -> np.ndarray:
    words = np.full(n, "", dtype="U5")
    for word in SPLIT_WORDS:
        words[getattr(split, word)] = word
    return words
