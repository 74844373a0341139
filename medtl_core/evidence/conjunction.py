"""P values of statements about several places: all of them, more than half, or at least one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

How = Literal["all", "majority", "any"]


def p_of(p_values: Sequence[float], how: How) -> float:
    """p value of "the hypothesis holds in all (in more than half, in at least one) of these places".

    all: the largest p value (intersection-union test, Berger 1982). Else Bonferroni's test of a partial
    conjunction (Benjamini & Heller 2008): at least u of n hold, p = (n - u + 1) times the u-th smallest p
    value; with u = 1 this is Holm's smallest. Valid under any dependence. ValueError for no place at all.
    """
    if not p_values:
        raise ValueError("no p value to combine")
    return _partial_conjunction(p_values, needed(len(p_values), how))


def p_of_failure(p_values: Sequence[float], how: How) -> float:
    """p value of "too few of these places are left for the statement", from p values of each place's failing.

    "All" fails where one place fails, "any" where all do, "majority" where half or more do. Errors as `p_of`.
    """
    if not p_values:
        raise ValueError("no p value to combine")
    n = len(p_values)
    return _partial_conjunction(p_values, n - needed(n, how) + 1)


def needed(n: int, how: How) -> int:
    """How many of `n` places must hold."""
    return {"all": n, "majority": n // 2 + 1, "any": 1}[how]


def _partial_conjunction(p_values: Sequence[float], needed: int) -> float:
    return min(1.0, (len(p_values) - needed + 1) * float(np.sort(p_values)[needed - 1]))
