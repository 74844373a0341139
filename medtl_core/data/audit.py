"""What in a data set could make a result look better than it is, or stand in a result's way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.data import findings
from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.duplicates import linking_ids
from medtl_core.data.findings import Finding
from medtl_core.data.measurable import require_measurable
from medtl_core.data.splits import Split
from medtl_core.errors import MedtlError

_LEAKS = ("group_across_splits", "identical_across_splits")


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
    """Look for identical and constant images, contradicting labels, unknown groups and leaks between splits.

    Constant images are a finding of their own, and count neither as copies of each other nor as a leak.

    Args:
        split: the split to judge; None judges the published one, if there is one.
    """
    ids = linking_ids(archive.images)
    found = [
        findings.identical(ids),
        findings.conflicting(archive, ids),
        findings.across_groups(archive, ids),
        findings.constant(archive),
        findings.unscaled(archive),
        findings.unknown_groups(archive),
        findings.class_is_domain(archive),
    ]
    words = archive.splits if split is None else split_words(archive.n, split)
    if words is not None:
        found += [findings.group_leak(archive, words), *findings.image_leaks(ids, words)]
    return Audit(archive.name, tuple(finding for finding in found if finding is not None))


def audit_as_used(archive: Archive) -> Audit:
    """The audit with the split that a study would use: the published one, or else the one that is dealt.

    Where nothing can be measured on the archive, that is one finding more, and no reason to look no further.
    """
    try:
        parts, refused = require_measurable(archive), None
    except MedtlError as error:
        parts, refused = None, Finding("not_measurable", archive.n, (), f"cannot be measured: {error}")
    found = audit(archive, parts)
    return found if refused is None else Audit(found.name, (*found.findings, refused))


def split_words(n: int, split: Split) -> NDArray[np.str_]:
    """(n,) the word of each case, train, val or test; empty for a case that is in no part."""
    words = np.full(n, "", dtype="U5")
    for word in SPLIT_WORDS:
        words[getattr(split, word)] = word
    return words
