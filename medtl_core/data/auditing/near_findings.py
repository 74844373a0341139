"""What near duplicates mean for a data set: findings, or None where there are none."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.findings import EXAMPLES, Finding
from medtl_core.data.groups import is_unknown


def near_findings(
    archive: Archive, pairs: NDArray[np.int64], words: NDArray[np.str_] | None
) -> list[Finding | None]:
    """All findings about near duplicates.

    Args:
        pairs: (P, 2) of `near_pairs`.
        words: (N,) train, val, test, empty where a case is in none; None: no split to judge.
    """
    found = [_alike(archive, pairs), _conflicting(archive, pairs), _across_groups(archive, pairs)]
    return found if words is None else [*found, *_across_splits(pairs, words)]


def _alike(archive: Archive, pairs: NDArray[np.int64]) -> Finding | None:
    count = len(np.unique(pairs))
    text = f"{count} of {archive.n} images are nearly the same as another one ({_pairs(pairs)})"
    return _finding("near_duplicates", pairs, count, text)


def _conflicting(archive: Archive, pairs: NDArray[np.int64]) -> Finding | None:
    pairs = pairs[archive.labels[pairs[:, 0]] != archive.labels[pairs[:, 1]]]
    count = len(np.unique(pairs))
    text = f"{count} of {archive.n} images are nearly the same as one of another class ({_pairs(pairs)})"
    return _finding("near_conflicting_labels", pairs, count, text)


def _across_groups(archive: Archive, pairs: NDArray[np.int64]) -> Finding | None:
    if archive.groups is None:
        return None
    known = ~is_unknown(archive.groups)[pairs].any(axis=1)
    pairs = pairs[known & (archive.groups[pairs[:, 0]] != archive.groups[pairs[:, 1]])]
    count = len(np.unique(pairs))
    text = f"{count} of {archive.n} images are nearly the same as one of another group ({_pairs(pairs)})"
    return _finding("near_across_groups", pairs, count, text)


def _across_splits(pairs: NDArray[np.int64], words: NDArray[np.str_]) -> list[Finding | None]:
    findings = []
    both_ways = np.concatenate([pairs, pairs[:, ::-1]])
    for seen, judged in (("train", "val"), ("train", "test"), ("val", "test")):
        torn = both_ways[(words[both_ways[:, 0]] == seen) & (words[both_ways[:, 1]] == judged)]
        count, total = len(np.unique(torn[:, 1])), int((words == judged).sum())
        text = f"{count} of {total} {judged} images are nearly the same as {seen} images"
        findings.append(_finding("near_across_splits", torn, count, text))
    return findings


def _pairs(pairs: NDArray[np.int64]) -> str:
    return f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}"


def _finding(kind: str, pairs: NDArray[np.int64], count: int, text: str) -> Finding | None:
    examples = tuple(tuple(pair) for pair in pairs[:EXAMPLES].tolist())
    return Finding(kind, count, examples, text) if count else None
