"""Many statements at once: p values adjusted so that the family is judged at one significance level."""

from collections.abc import Sequence

import numpy as np

from medtl_core.errors import MedtlError


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979); an empty family stays empty.

    The chance of even one false rejection among all stays below the significance level at which the adjusted
    values are judged, whatever their dependence. MedtlError for a value that is NaN or outside [0, 1].
    """
    for position, p_value in enumerate(p_values):
        if not 0.0 <= p_value <= 1.0:
            raise MedtlError(
                f"p_values: {p_value} found at position {position}, expected 0 to 1; drop untested rules"
            )
    # statsmodels has it too, but collects all garbage at each call: 50 ms, too long for simulated notebooks.
    order = np.argsort(p_values)
    stepped = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(p_value) for p_value in adjusted]
