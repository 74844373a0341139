"""The whole audit of one archive, and how it is written: lines of text, Markdown, plain values for JSON."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.volumes import VolumeArchive
from medtl_core.data.audit import audit, audit_as_used, split_words
from medtl_core.data.auditing.near_duplicates import near_pairs
from medtl_core.data.auditing.near_findings import near_findings
from medtl_core.data.auditing.picture_findings import picture_findings
from medtl_core.data.auditing.probes import kept_together
from medtl_core.data.auditing.shortcuts import Measurement, shortcuts
from medtl_core.data.auditing.verdicts import Verdict, verdict
from medtl_core.data.description import describe, describe_volumes
from medtl_core.data.duplicates import linking_ids, split_leaks
from medtl_core.data.findings import Finding
from medtl_core.data.measurable import require_measurable
from medtl_core.data.sources.dataset_card import DatasetCard
from medtl_core.data.splits import Split
from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class AuditReport:
    """All that the audit says of one archive.

    Attributes:
        description: the values of `describe`, counts by class, domain and part among them.
        verdict: clean, leaky or not auditable, and why.
        findings: what is wrong, none if nothing was found.
        measurements: what was measured of shortcuts, whether it is a finding or not.
        identical_sets: how many sets of identical images there are, and how many of them stand in two groups.
        near_pairs: pairs of near duplicates.
    """

    description: dict[str, Any]
    verdict: Verdict
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    identical_sets: tuple[int, int]
    near_pairs: int

    def values(self) -> dict[str, Any]:
        """Text, numbers, lists and dictionaries that JSON can hold."""
        return {
            **self.description,
            "verdict": {"word": self.verdict.word, "reasons": list(self.verdict.reasons)},
            "findings": [asdict(finding) for finding in self.findings],
            "shortcuts": [
                {"kind": each.kind, "question": each.question, **asdict(each.skill)}
                for each in self.measurements
            ],
            "identical_sets": {"number": self.identical_sets[0], "in_two_groups": self.identical_sets[1]},
            "near_pairs": self.near_pairs,
        }

    def text(self) -> str:
        """The verdict, then one line per finding."""
        lines = [f"verdict: {self.verdict.word}"]
        known = {finding.text for finding in self.findings}
        lines += [f"  {reason}" for reason in self.verdict.reasons if reason not in known]
        sets, torn = self.identical_sets
        if sets:
            lines.append(f"sets of identical images: {sets}, in two groups: {torn}")
        return "\n".join([*lines, *(finding.text for finding in self.findings)])


def full_audit(archive: Archive, card: DatasetCard, seed: int = 0) -> AuditReport:
    """Look for all that could make a result on an archive look better than it is.

    The split that is judged is the one that a study would use: the published one, or else the one that is
    dealt with seed 0. An archive that cannot be split is audited all the same.

    Args:
        card: what the registry knows, `registry.card(name)`.
        seed: decides folds and samples of the probes.
    """
    parts = _parts(archive)
    words = archive.splits if parts is None else split_words(archive.n, parts)
    pairs = near_pairs(archive.images)
    measured = shortcuts(archive, kept_together(archive, pairs), seed)
    found = [
        *audit_as_used(archive).findings,
        *near_findings(archive, pairs, words),
        *picture_findings(archive),
        *(each.finding for each in measured),
    ]
    findings = tuple(finding for finding in found if finding is not None)
    return AuditReport(
        describe(archive, card, parts),
        verdict(archive, findings),
        findings,
        tuple(measured),
        _identical_sets(archive),
        len(pairs),
    )


def volume_audit(archive: VolumeArchive, card: DatasetCard, seed: int = 0) -> AuditReport:
    """The audit of volumes: identical ones by all voxels, near duplicates and shortcuts by middle sections.

    Judged is the published split, if there is one; arguments as `full_audit`.
    """
    pictures, sections = archive.pictures(), archive.sections()
    pairs = near_pairs(sections.images)
    measured = [] if archive.labels is None else shortcuts(sections, kept_together(pictures, pairs), seed)
    found = [
        *audit(pictures).findings,
        *near_findings(pictures, pairs, archive.splits),
        *(each.finding for each in measured),
    ]
    findings = tuple(finding for finding in found if finding is not None)
    return AuditReport(
        describe_volumes(archive, card),
        verdict(pictures, findings),
        findings,
        tuple(measured),
        _identical_sets(pictures),
        len(pairs),
    )


def quick_verdict(archive: Archive) -> Verdict:
    """The verdict of `full_audit` without its probes, which decide nothing of it: what a result carries."""
    parts = _parts(archive)
    words = archive.splits if parts is None else split_words(archive.n, parts)
    near = near_findings(archive, near_pairs(archive.images), words)
    return verdict(archive, [*audit_as_used(archive).findings, *filter(None, near)])


def _parts(archive: Archive) -> Split | None:
    try:
        return require_measurable(archive)
    except MedtlError:  # it becomes the finding `not_measurable` of `audit_as_used`
        return None


def _identical_sets(archive: Archive) -> tuple[int, int]:
    ids = linking_ids(archive.images)
    copied = np.flatnonzero(np.bincount(ids) > 1)
    torn: NDArray = (
        np.array([]) if archive.groups is None else np.intersect1d(copied, split_leaks(ids, archive.groups))
    )
    return len(copied), len(torn)
