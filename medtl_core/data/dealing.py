"""Dealing whole groups to the parts of a split: every class in every part, then balance."""

import numpy as np
from numpy.typing import NDArray

_COST_OF_RESERVING = 1e-3  # in shares of a class: a group is reserved only where it is needed
_NODES = 20_000  # of the search tree; a few suffice unless hardly any group has one class alone


def deal(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fractions: tuple[float, ...], seed: int
) -> list[NDArray[np.int64]] | None:
    """Positions of the cases of each part; None if whole groups cannot bring every class into every part.

    Groups go, the largest first, to the part that lacks their classes most. Where that leaves a part without
    a class, each part first gets a group of each class, and the rest is dealt as before.

    Args:
        labels: (N,) class of each case; classes without a case are not asked for.
        groups: (N,) group of each case.
        fractions: share of each part, together 1.
        seed: decides the order of groups of equal size.
    """
    _, group = np.unique(groups, return_inverse=True)
    shape = (int(group.max()) + 1, int(labels.max()) + 1)
    counts = np.bincount(group * shape[1] + labels, minlength=shape[0] * shape[1]).reshape(shape)
    counts = counts[:, counts.any(axis=0)]
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    part_of_group = _balanced(counts, fractions, shuffled, {})
    if not _complete(counts, part_of_group, len(fractions)):
        reserved = _reserved(counts, fractions, shuffled)
        if reserved is None:
            return None
        part_of_group = _balanced(counts, fractions, shuffled, reserved)
    return [np.flatnonzero(part_of_group[group] == part) for part in range(len(fractions))]


def _balanced(
    counts: NDArray[np.int64], fractions: tuple[float, ...], shuffled: NDArray, reserved: dict[int, int]
) -> NDArray[np.int64]:
    """Part of each group (G,) by its class counts (G, K); `reserved` groups have their part already."""
    totals = counts.sum(axis=0)
    weights = 1.0 / totals**2
    missing = np.outer(fractions, totals)
    part_of_group = np.empty(len(counts), dtype=np.int64)
    for index, part in reserved.items():
        part_of_group[index] = part
        missing[part] -= counts[index]
    for index in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")].tolist():
        if index in reserved:
            continue
        # Least squares over classes: adding c to a part that misses m changes sum((m - c)^2) by -2 m c + c^2.
        part = int(np.argmax(missing @ (weights * counts[index])))
        part_of_group[index] = part
        missing[part] -= counts[index]
    return part_of_group


def _complete(counts: NDArray[np.int64], part_of_group: NDArray[np.int64], n_parts: int) -> bool:
    return all(counts[part_of_group == part].any(axis=0).all() for part in range(n_parts))


def _reserved(
    counts: NDArray[np.int64], fractions: tuple[float, ...], shuffled: NDArray
) -> dict[int, int] | None:
    """Group to part, such that every part has every class; None if that cannot be.

    An integer programme: x[g, p] is 1 where group g is reserved for part p; each group goes to one part at
    most, each part gets at least one group of each class, and as little as possible is reserved, or goes
    beyond a part's share of a class.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, eye_array, kron

    n_parts, n_classes = len(fractions), counts.shape[1]
    # No solution needs more than one group for each class and part. So a class of so many groups always has
    # one left, and its smallest ones serve as well as all of them: what is left to search is small.
    by_size = shuffled[np.argsort(counts[shuffled].sum(axis=1), kind="stable")]
    of_class = (by_size[counts[by_size, k] > 0][: n_parts * n_classes] for k in range(n_classes))
    chosen = np.array(list(dict.fromkeys(np.concatenate(list(of_class)).tolist())))
    totals = counts.sum(axis=0)
    beyond = [np.maximum(counts[chosen] / totals - share, 0).sum(axis=1) for share in fractions]
    holds = csr_array((counts[chosen] > 0).T.astype(float))  # (K, G)
    found = milp(
        np.stack(beyond, axis=1).ravel() + _COST_OF_RESERVING,
        integrality=1,
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(kron(eye_array(len(chosen)), np.ones((1, n_parts)), "csr"), ub=1),
            LinearConstraint(kron(holds, eye_array(n_parts), "csr"), lb=1),
        ],
        options={"node_limit": _NODES},
    )
    if found.x is None:
        return None
    x = np.rint(found.x).reshape(-1, n_parts)
    taken = np.flatnonzero(x.any(axis=1))
    return dict(zip(chosen[taken].tolist(), x[taken].argmax(axis=1).tolist(), strict=True))
