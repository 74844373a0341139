"""A held-out probe: can a linear classifier tell generated from real images?"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.errors import MedtlError
from medtl_core.gans.quality.sample_distance import feature_sets


def real_or_fake_auroc(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """AUROC of a cross-validated logistic regression that tells generated (m, d) from real features (n, d).

    About .5 where they cannot be told apart (by chance also below), 1 where they always can. Features are
    standardised; classes are balanced; C is .01. groups (n,): the patients of the real images, whose images
    stay in one fold. MedtlError for features that do not fit, fewer images than folds on a side, and fewer
    patients than folds.
    """
    first, second = feature_sets(real, generated)
    group = np.arange(len(first)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    patients = len(np.unique(group))
    if group.shape != (len(first),) or not 2 <= folds <= min(patients, len(second)):
        raise MedtlError(
            f"real-or-fake probe: {folds} folds for {len(first)} real images of {patients} patients "
            f"({len(group)} given) and {len(second)} generated ones, expected at least 2 folds and no more "
            "than patients or generated images"
        )
    own = group.max() + 1 + np.arange(len(second))  # each generated image is a patient of its own
    fake = np.repeat([0, 1], [len(first), len(second)])
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)),
        np.concatenate([first, second]),
        fake,
        groups=np.concatenate([group, own]),
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
        method="decision_function",
    )
    return float(roc_auc_score(fake, scores))
