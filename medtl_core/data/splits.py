"""Who is in training, validation and test: groups stay whole, each part has every class."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.archives.checks import SPLIT_WORDS
from medtl_core.data.dealing import deal
from medtl_core.data.duplicates import joined_groups, split_leaks
from medtl_core.data.groups import group_ids, is_unknown
from medtl_core.errors import MedtlError

_PARTS = {3: "train, val and test", 2: "train and val"}
_REMEDY = "leave the class out, or choose another domain or data set"


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
    """Split an archive for training, validation and test; every class is in each of the three.

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
        MedtlError: no such domain, a group in two published parts, a published part without an image of
            some class, a class in too few groups for one in each part, fractions that make no split, a
            seed that is none.
    """
    _check_fractions(fractions)
    _check_seed(seed)
    cases = cases_of_domain(archive, domain)
    where = archive.name if domain is None else f"{archive.name}, domain '{domain}'"
    if published and archive.splits is not None:
        parts = _published_parts(archive, cases, fractions, seed, where)
    else:
        parts = _dealt(archive, cases, fractions, seed, where)
    return Split(*(np.sort(part).astype(np.int64) for part in parts))


def nested_subset(labels: np.ndarray, pool: np.ndarray, n: int, seed: int, part: str = "pool") -> np.ndarray:
    """Draw `n` of the indices in `pool`, stratified by class; sorted int64 (n,).

    For one seed, a smaller subset lies inside every larger one of the same pool. Each class has at least
    one case, and otherwise its share of the pool to within rounding.

    Args:
        labels: integer (N,) of the whole archive.
        pool: indices into `labels` to draw from, or a mask of length N; usually a part of a split.
        part: what a message calls the pool, such as "validation part".

    Raises:
        MedtlError: `n` larger than the pool or smaller than the number of classes, a class without a case
            in the pool, or a seed that is no whole number of at least 0.
    """
    _check_seed(seed)
    classes = np.unique(labels)
    pool = np.asarray(pool)
    pool = np.flatnonzero(pool) if pool.dtype == bool else np.sort(pool)
    absent = np.setdiff1d(classes, labels[pool])
    if len(absent):
        raise MedtlError(
            f"{part} of {len(pool)} cases: found no case of class {absent[0]}, "
            f"expected all {len(classes)} classes"
        )
    if not len(classes) <= n <= len(pool):
        raise MedtlError(
            f"subset of the {part}: found n={n}, expected {len(classes)} (one per class) to {len(pool)} "
            "(all of it); change n"
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


def cases_of_domain(archive: Archive, domain: str | None) -> NDArray[np.int64]:
    """Indices of the cases of one domain, of all for None; MedtlError for a domain that is not there."""
    if domain is None:
        return np.arange(archive.n)
    known = [] if archive.domains is None else np.unique(archive.domains).tolist()
    if domain not in known:
        expected = (
            f"one of {', '.join(known)}" if known else "no domain to be asked for: the archive has none"
        )
        raise MedtlError(f"{archive.name}: found no domain '{domain}', expected {expected}")
    return np.flatnonzero(archive.domains == domain)


def _check_fractions(fractions: tuple[float, float, float]) -> None:
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise MedtlError(
            f"fractions of train, val, test: found {fractions}, expected three above 0 that sum to 1"
        )


def _check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise MedtlError(f"seed: found {seed!r}, expected a whole number of at least 0; change the seed")


def _published_parts(
    archive: Archive, cases: NDArray, fractions: tuple[float, float, float], seed: int, where: str
) -> list[NDArray]:
    assert archive.splits is not None
    words = archive.splits[cases]
    leaking = _leaking_groups(archive, cases, words)
    if leaking:
        raise MedtlError(
            f"{archive.name}: key 'splits': found group '{leaking[0]}' in two splits "
            f"({len(leaking)} such groups), expected each group in one; "
            "split it again with published=False, or without the key 'splits'"
        )
    train, val, test = (cases[words == word] for word in SPLIT_WORDS)
    if not len(val) and len(train):
        share = fractions[1] / (fractions[0] + fractions[1])
        train, val = _dealt(archive, train, (1 - share, share), seed, f"{where}, published training part")
    _check_published(archive, [train, val, test], where)
    return [train, val, test]


def _leaking_groups(archive: Archive, cases: NDArray, words: NDArray) -> list:
    if archive.groups is None:
        return []
    known = ~is_unknown(archive.groups[cases])
    return split_leaks(archive.groups[cases][known], words[known])


def _check_published(archive: Archive, parts: list[NDArray], where: str) -> None:
    for word, part in zip(SPLIT_WORDS, parts, strict=True):
        if not len(part):
            raise MedtlError(
                f"{where}: key 'splits': found no image in {word}, expected some in each of train, val and "
                "test; mark some, or leave the key out"
            )
        present = np.bincount(archive.labels[part], minlength=archive.n_classes) > 0
        if not present.all():
            name = archive.class_names[int(present.argmin())]
            raise MedtlError(
                f"{where}: key 'splits': found no image of class '{name}' in {word}, "
                f"expected each class in train, val and test; {_REMEDY}, or leave the key out"
            )


def _dealt(
    archive: Archive, cases: NDArray, fractions: tuple[float, ...], seed: int, where: str
) -> list[NDArray]:
    """`cases` dealt to the parts; MedtlError where whole groups cannot bring every class into every part."""
    labels, together = archive.labels[cases], joined_groups(archive)[cases]
    numbers = _groups_per_class(labels, together, archive.n_classes)
    parts = deal(labels, together, fractions, seed) if numbers.min() >= len(fractions) else None
    if parts is None:
        rarest = int(numbers.argmin())
        found = f"class '{archive.class_names[rarest]}' in {_in_groups(archive, cases, rarest, numbers)}"
        raise MedtlError(
            f"{where}: found {found}, expected at least {len(fractions)}, "
            f"one for each of {_PARTS[len(fractions)]}; {_REMEDY}"
        )
    return [cases[part] for part in parts]


def _in_groups(archive: Archive, cases: NDArray, label: int, numbers: NDArray) -> str:
    """How many groups hold a class, in words that say why they cannot be dealt."""
    labels, number = archive.labels[cases], int(numbers[label])
    if archive.groups is None:
        before = int((labels == label).sum())
        words = f"{number} {'image' if number == 1 else 'images'}"
        joined = f"{before} with identical copies"
    else:
        before = int(_groups_per_class(labels, group_ids(archive.groups[cases]), archive.n_classes)[label])
        words = f"{number} {'group' if number == 1 else 'groups'}"
        joined = f"{before} before groups that share an identical image were joined"
    if before > number:
        words += f" ({joined})"
    if number >= 3:
        words += ", and too few of these have no other class"
    return words


def _groups_per_class(labels: NDArray, groups: NDArray, n_classes: int) -> NDArray:
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=n_classes)
