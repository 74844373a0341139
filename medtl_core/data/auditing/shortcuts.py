"""What gives the class away without the disease: the domain, the border of the image, its grey values.

Each is measured, whether it is a finding or not: `Measurement` holds the number, and `finding` says
whether it is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.auditing.probes import (
    Skill,
    borders,
    grey_histograms,
    probe,
    probe_across,
    skill_of,
    small_pictures,
)
from medtl_core.data.findings import Finding

KINDS = (
    "domain_visible",
    "domain_tells_class",
    "border_tells_class",
    "histogram_tells_class",
    "class_bound_to_domain",
)
TELLING = 0.7  # AUROC, two standard errors below it, from which on something is said to be told


@dataclass(frozen=True)
class Measurement:
    """One question that was asked of the images.

    Attributes:
        kind: one of `KINDS`.
        question: what is told from what, in words, with the domain if it was asked in one alone.
        skill: the answer.
        finding: the sentence, or None where nothing is wrong.
    """

    kind: str
    question: str
    skill: Skill
    finding: Finding | None


def shortcuts(archive: Archive, together: NDArray[np.int64], seed: int = 0) -> list[Measurement]:
    """Ask the images of an archive for shortcuts; nothing is asked where classes or domains are too small.

    Args:
        together: (N,) of `probes.kept_together`.
        seed: decides folds and which cases are used.
    """
    several = archive.domains is not None and len(np.unique(archive.domains)) > 1
    small = small_pictures(archive.images)
    found: list[Measurement | None] = []
    if several:
        found += [_domain_visible(archive, small, together, seed), _domain_tells_class(archive, together)]
    found += _inside(archive, together, seed)
    if several:
        found += _across(archive, small, together, seed)
    return [each for each in found if each is not None]


def _domain_visible(
    archive: Archive, small: NDArray[np.float32], together: NDArray[np.int64], seed: int
) -> Measurement | None:
    assert archive.domains is not None
    skill = probe(small, archive.domains, together, seed)
    text = "the domain is told from thumbnails of 16 x 16 pixels"
    return _judged("domain_visible", "domain from thumbnails", skill, text, archive)


def _domain_tells_class(archive: Archive, together: NDArray[np.int64]) -> Measurement | None:
    """The class guessed by the shares of classes in each domain, without a look at an image."""
    assert archive.domains is not None
    present, labels = np.unique(archive.labels, return_inverse=True)
    if len(present) < 2:
        return None
    domain = np.unique(archive.domains, return_inverse=True)[1]
    table = np.zeros((int(domain.max()) + 1, len(present)))
    np.add.at(table, (domain, labels), 1)
    shares = table / table.sum(axis=1, keepdims=True)
    skill = skill_of(labels, shares[domain], together)
    text = "the class is told from the name of the domain alone"
    return _judged("domain_tells_class", "class from domain", skill, text, archive)


def _inside(archive: Archive, together: NDArray[np.int64], seed: int) -> Iterator[Measurement | None]:
    """Border and grey values inside each domain, so that they do not merely tell the domain."""
    kinds = (
        ("border_tells_class", "the outer sixteenth of the image on each side", borders(archive.images)),
        ("histogram_tells_class", "its grey values without their places", grey_histograms(archive.images)),
    )
    for domain in _names(archive):
        cases = _cases_of(archive, domain)
        for kind, source, features in kinds:
            skill = probe(features[cases], archive.labels[cases], together[cases], seed)
            where = f" in domain '{domain}'" if domain else ""
            text = f"the class{where} is told from {source}"
            yield _judged(kind, f"class{where} from {source}", skill, text, archive)


def _across(
    archive: Archive, small: NDArray[np.float32], together: NDArray[np.int64], seed: int
) -> Iterator[Measurement | None]:
    """A probe of the class in one domain, judged in another: is what it learnt true there?"""
    for source in _names(archive):
        here = _cases_of(archive, source)
        inside = probe(small[here], archive.labels[here], together[here], seed)
        for target in _names(archive):
            there = _cases_of(archive, target)
            if target == source or inside is None:
                continue
            across = probe_across(small, archive.labels, together, here, there, seed)
            if across is None:
                continue
            lost = inside.surely >= TELLING and across.auroc + 2 * across.error < (inside.auroc + 0.5) / 2
            text = (
                f"what thumbnails of 16 x 16 pixels say of the class in domain '{source}' "
                f"(AUROC {inside.auroc:.2f}) does not hold in '{target}' ({across.auroc:.2f}): "
                "the images differ in more than the class"
            )
            finding = Finding("class_bound_to_domain", int(here.sum()), (), text) if lost else None
            question = f"class in domain '{target}' from thumbnails of '{source}'"
            yield Measurement("class_bound_to_domain", question, across, finding)


def _judged(kind: str, question: str, skill: Skill | None, text: str, archive: Archive) -> Measurement | None:
    if skill is None:
        return None
    told = skill.surely >= TELLING
    finding = Finding(kind, skill.n, (), f"{text} (AUROC {skill.auroc:.2f} ± {skill.error:.2f})")
    return Measurement(kind, question, skill, finding if told else None)


def _names(archive: Archive) -> list[str]:
    return [""] if archive.domains is None else np.unique(archive.domains).tolist()


def _cases_of(archive: Archive, domain: str) -> NDArray[np.bool_]:
    if archive.domains is None:
        return np.ones(archive.n, bool)
    cases: NDArray[np.bool_] = archive.domains == domain
    return cases
