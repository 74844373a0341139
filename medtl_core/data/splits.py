"""Who is in training, validation and test: groups stay whole, classes keep their shares."""

from dataclasses import dataclass

import numpy as np

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.duplicates import joined_groups, split_leaks
from medtl_core.errors import MedtlError


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted int64 indices into an archive; the three are disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split(
    archive: Archive,
    *,
    seed: int = 0,
    domain: str | None = None,
    fractions: tuple[float, float, float] = (0.6, 0.15, 0.25),
    published: bool = True,
) -> Split:
    """Split an archive for training, validation and test.

    The published split is used if there is one; if it has no validation part, one is taken out of its
    training part. Otherwise groups, together with images that are identical pixel by pixel, are dealt to
    the part that lacks their classes most, so none is ever cut in two.

    Args:
        seed: the same seed gives the same split; a published split does not depend on it, except for
            the validation part that it may lack.
        domain: keep only the cases of this domain.
        fractions: shares of train, val and test, each above 0, together 1.
        published: False ignores the published split.

    Raises:
        MedtlError: no such domain, a group in two published parts, a class without a training image, a
            part without an image, fractions that make no split.
    """
    _check_fractions(fractions)
    cases = _cases_of(archive, domain)
    if published and archive.splits is not None:
        parts = _published_parts(archive, cases, fractions, seed)
    else:
        parts = _dealt_parts(archive, cases, fractions, seed)
    _check_parts(archive, parts, domain)
    return Split(*(np.sort(part).astype(np.int64) for part in parts))


def nested_subset(labels: np.ndarray, pool: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw `n` of the indices in `pool`, stratified by class; sorted int64 (n,).

    For one seed, a smaller subset lies inside every larger one of the same pool. Each class has at least
    one case, and otherwise its share of the pool to within rounding.

    Args:
        labels: integer (N,) of the whole archive.
        pool: indices into `labels` to draw from, usually a split's training part.

    Raises:
        MedtlError: `n` larger than the pool or smaller than the number of classes, or a class without
            a case in the pool.
    """
    classes = np.unique(labels)
    pool = np.sort(np.asarray(pool))
    absent = np.setdiff1d(classes, labels[pool])
    if len(absent):
        raise MedtlError(
            f"training pool of {len(pool)}: found no case of class {absent[0]}, expected all {len(classes)}"
        )
    if not len(classes) <= n <= len(pool):
        raise MedtlError(
            f"training subset: found n={n}, expected {len(classes)} (one per class) to {len(pool)} "
            "(the whole pool); change n"
        )
    rng = np.random.default_rng(seed)
    # One order for all n: its prefixes are the subsets. Case i of a class of m stands at (i + 1/2) / m of
    # the way, so every prefix has the shares of the pool; the first case of each class comes before all.
    place = np.empty(len(pool))
    for label in classes:
        members = rng.permutation(np.flatnonzero(labels[pool] == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = -1.0
    order = np.lexsort((rng.random(len(pool)), place))
    return np.sort(pool[order[:n]]).astype(np.int64)


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise MedtlError(
            f"fractions of train, val, test: found {fractions}, expected three above 0 that sum to 1"
        )


def _cases_of(archive: Archive, domain: str | None) -> np.ndarray:
    if domain is None:
        return np.arange(archive.n)
    known = [] if archive.domains is None else np.unique(archive.domains).tolist()
    if domain not in known:
        expected = (
            f"one of {', '.join(known)}" if known else "no domain to be asked for: the archive has none"
        )
        raise MedtlError(f"{archive.name}: found no domain '{domain}', expected {expected}")
    return np.flatnonzero(archive.domains == domain)


def _published_parts(
    archive: Archive, cases: np.ndarray, fractions: tuple[float, float, float], seed: int
) -> list[np.ndarray]:
    words = archive.splits[cases]  # type: ignore[index]
    leaking = [] if archive.groups is None else split_leaks(archive.groups[cases], words)
    if leaking:
        raise MedtlError(
            f"{archive.name}: key 'splits': found group '{leaking[0]}' in two splits "
            f"({len(leaking)} such groups), expected each group in one; split anew with published=False"
        )
    train, val, test = (cases[words == word] for word in SPLIT_WORDS)
    if not len(val) and len(train):
        share = fractions[1] / (fractions[0] + fractions[1])
        parts = _deal(archive.labels[train], joined_groups(archive)[train], (1 - share, share), seed)
        train, val = (train[part] for part in parts)
    return [train, val, test]


def _dealt_parts(
    archive: Archive, cases: np.ndarray, fractions: tuple[float, float, float], seed: int
) -> list[np.ndarray]:
    parts = _deal(archive.labels[cases], joined_groups(archive)[cases], fractions, seed)
    return [cases[part] for part in parts]


def _deal(
    labels: np.ndarray, groups: np.ndarray, fractions: tuple[float, ...], seed: int
) -> list[np.ndarray]:
    """Positions of each part; groups go, the largest first, where their classes are missing most."""
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max() + 1, labels.max() + 1))
    np.add.at(counts, (group, labels), 1)
    totals = counts.sum(axis=0)
    weights = np.divide(1.0, totals**2, out=np.zeros_like(totals), where=totals > 0)
    missing = np.outer(fractions, totals)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    part_of_group = np.empty(len(counts), dtype=int)
    for index in order:
        # Least squares over classes: adding c to a part that misses m changes sum((m - c)^2) by -2 m c + c^2.
        part = int(np.argmax(missing @ (weights * counts[index])))
        part_of_group[index] = part
        missing[part] -= counts[index]
    part_of_case = part_of_group[group]
    return [np.flatnonzero(part_of_case == part) for part in range(len(fractions))]


def _check_parts(archive: Archive, parts: list[np.ndarray], domain: str | None) -> None:
    where = archive.name if domain is None else f"{archive.name}, domain '{domain}'"
    for word, part in zip(SPLIT_WORDS, parts, strict=True):
        if not len(part):
            raise MedtlError(f"{where}: found no image in {word}, expected some in each of train, val, test")
    present = np.bincount(archive.labels[parts[0]], minlength=archive.n_classes) > 0
    if not present.all():
        name = archive.class_names[int(np.argmin(present))]
        raise MedtlError(
            f"{where}: found no training image of class '{name}', expected one of each class; "
            "drop the class or choose another domain or split"
        )
