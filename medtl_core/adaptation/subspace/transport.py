"""Optimal transport (Courty et al. 2017): each source case moved to the target cases its mass goes to."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.subspace.common_space import CommonSpace
from medtl_core.adaptation.subspace.libraries import pot
from medtl_core.errors import MedtlError

Array = NDArray[np.float64]


def optimal_transport(source: Array, target: Array) -> CommonSpace:
    """Source (n, d) -> n P X_T, the barycentres of what `transport_plan` P sends it to; target as it is.

    Courty et al. 2017, barycentric mapping, without regularisation and without the source's labels. Every
    source case must find its place in the target: another share of the classes there pulls cases to a wrong
    class.
    """
    plan = transport_plan(source, target)
    return CommonSpace(plan @ target / plan.sum(axis=1, keepdims=True), lambda x: x)


def transport_plan(source: Array, target: Array) -> Array:
    """P (n, m) >= 0 with row sums 1/n and column sums 1/m and the least sum of P times squared distances.

    By POT's network simplex. Raises MedtlError where that does not end within its number of steps.
    """
    n, m = len(source), len(target)
    ot = pot()
    cost = ot.dist(source, target, metric="sqeuclidean")
    plan, log = ot.emd(np.full(n, 1 / n), np.full(m, 1 / m), cost, numItermax=10_000_000, log=True)
    if log["warning"]:
        raise MedtlError(f"optimal transport of {n} to {m} cases: {log['warning']}; take fewer cases")
    return np.asarray(plan)
