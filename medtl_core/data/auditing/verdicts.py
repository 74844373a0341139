"""The audit's verdict in one word: whether test images are new to a network that was trained.

- `leaky`: an image, a copy of it, or a group stands in two parts, or each domain holds one class alone.
- `not auditable`: nothing of that was found, but nobody could: patients are not known, or there is no split.
- `clean`: nothing of that was found, and patients are known.

Shortcuts in the pictures are findings and no part of the verdict: they need not be a fault of the data set.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.duplicates import content_ids
from medtl_core.data.findings import AMONG, Finding
from medtl_core.data.groups import group_ids, is_unknown

LEAKS = ("group_across_splits", "identical_across_splits", "near_across_splits", "class_is_domain")


@dataclass(frozen=True)
class Verdict:
    """One word and why.

    Attributes:
        word: `clean`, `leaky` or `not auditable`.
        reasons: sentences, none if clean.
    """

    word: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.word}: {'; '.join(self.reasons)}" if self.reasons else self.word

    @property
    def why(self) -> str:
        """The first reason, for a line beside a result: without names of groups, which may be patients'."""
        return self.reasons[0].partition(AMONG)[0] if self.reasons else ""


def verdict(archive: Archive, findings: Iterable[Finding]) -> Verdict:
    """The verdict on an archive, by all that was found in it.

    Images that a program drew (`origin` synthetic) need no patients: each is new, but for what is found.
    """
    findings = tuple(findings)
    leaks = [finding.text for finding in findings if finding.kind in LEAKS]
    if leaks:
        return Verdict("leaky", tuple(leaks))
    reasons = [finding.text for finding in findings if finding.kind == "not_measurable"]
    reasons += [] if archive.synthetic else _unknown_patients(archive)
    return Verdict("not auditable", tuple(reasons)) if reasons else Verdict("clean")


def groups_are_copies(archive: Archive) -> bool:
    """Whether the groups are just the sets of identical images, so that they say nothing of patients."""
    if archive.groups is None:
        return False
    ids, groups = content_ids(archive.images), group_ids(archive.groups)
    pairs = len(np.unique(np.stack([ids, groups]), axis=1).T)
    return pairs == ids.max() + 1 == groups.max() + 1 < archive.n


def _unknown_patients(archive: Archive) -> list[str]:
    if archive.groups is None:
        return ["the archive has no groups, so that nobody knows which images are of one patient"]
    unknown = int(is_unknown(archive.groups).sum())
    if unknown:
        return [f"the patients of {unknown} of {archive.n} images are unknown"]
    if groups_are_copies(archive):
        return ["the groups are the sets of identical images, and say nothing of patients"]
    return []
