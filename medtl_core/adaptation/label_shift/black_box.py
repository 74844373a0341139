"""Black box shift estimation (Lipton, Wang & Smola 2018): class weights from a confusion matrix."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.errors import MedtlError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def bbse_weights(
    source_labels: Labels, source_predictions: Labels, target_predictions: Labels, classes: int
) -> Array:
    """Class weights w (K,) = q(y) / p(y) of target to source, not below 0: C w = mu.

    C_ij is the share of source cases predicted i and labelled j, mu_i the share of target cases predicted i;
    predictions (n,) and (m,) are codes 0 to K - 1 (Lipton et al. 2018, algorithm 1). Those of the source must
    be of cases that did not train. p(x | y) is assumed the same in both. MedtlError for no cases, for codes
    out of range, and for a C that cannot be inverted: some class is never predicted, or two are alike.
    """
    codes = {
        "source labels": source_labels,
        "source predictions": source_predictions,
        "target predictions": target_predictions,
    }
    for name, found in codes.items():
        if not len(found) or found.min() < 0 or found.max() >= classes:
            said = f"{found.min()} to {found.max()}" if len(found) else "none"
            raise MedtlError(f"bbse: {name} {said}, expected codes from 0 to {classes - 1}")
    cells = np.zeros((classes, classes))
    np.add.at(cells, (source_predictions, source_labels), 1 / len(source_labels))
    shares = np.bincount(target_predictions, minlength=classes) / len(target_predictions)
    smallest = np.linalg.svd(cells, compute_uv=False)[-1]
    if smallest < 1e-6:
        raise MedtlError(
            f"bbse: confusion matrix with least singular value {smallest:.1e}, expected above 1e-06; "
            "a class is never predicted in the source"
        )
    return np.asarray(np.maximum(np.linalg.solve(cells, shares), 0))
