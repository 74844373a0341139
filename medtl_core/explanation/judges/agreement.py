"""Do methods agree with each other?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from medtl_core.errors import MedtlError
from medtl_core.explanation.explaining import Explanation
from medtl_core.explanation.judges.judgement import Case, Judgement
from medtl_core.explanation.judges.likeness import spearman


def agreement(case: Case, *, others: Sequence[Explanation]) -> Judgement:
    """Mean Spearman correlation (N,) of the signed maps with those of other methods on the same images.

    Agreement is no proof: two methods can share a fault. Raises MedtlError for none, and other shapes.
    """
    if not others:
        raise MedtlError("agreement: no other explanation, expected at least one")
    for other in others:
        if other.maps.shape != case.explanation.maps.shape:
            raise MedtlError(
                f"agreement: {other.method} has maps {tuple(other.maps.shape)}, expected "
                f"{tuple(case.explanation.maps.shape)}"
            )
    values = torch.stack([spearman(case.explanation.maps, other.maps) for other in others])
    return Judgement("agreement", values.nanmean(0), "higher", {"methods": [o.method for o in others]})


def agreement_table(explanations: Sequence[Explanation]) -> pd.DataFrame:
    """Mean Spearman correlation between the signed maps of each pair of methods: a square table by name."""
    names = [explanation.method for explanation in explanations]
    rows = [[float(spearman(a.maps, b.maps).nanmean()) for b in explanations] for a in explanations]
    return pd.DataFrame(rows, index=names, columns=names)
