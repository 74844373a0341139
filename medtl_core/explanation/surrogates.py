"""A decision tree in place of the network: what it would look like as rules (Craven & Shavlik 1996)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, export_text

from medtl_core.errors import MedtlError


@dataclass(frozen=True)
class SurrogateTree:
    """fidelity: share of held-out cases where tree and network agree; majority: that of one class for all.

    depth, leaves: of the fitted tree; rules: the tree as text, with the names of the features.
    """

    tree: DecisionTreeClassifier
    fidelity: float
    majority: float
    depth: int
    leaves: int
    rules: str


def surrogate_tree(
    features: np.ndarray,
    names: Sequence[str],
    predicted: np.ndarray,
    *,
    max_depth: int = 3,
    held_out: float = 0.3,
    seed: int = 0,
) -> SurrogateTree:
    """Fit a tree on named features (N, D) to foretell the class (N,) that a network predicts.

    Fidelity is measured on a share `held_out` of the cases, in equal shares of each class. Raises MedtlError
    for other shapes, one predicted class, a class of fewer than 2 cases, and limits out of range.
    """
    features, predicted = np.asarray(features, dtype=float), np.asarray(predicted)
    if features.ndim != 2 or features.shape != (len(predicted), len(names)):
        raise MedtlError(
            f"surrogate_tree: features {features.shape}, {len(names)} names, {len(predicted)} predictions; "
            "expected (N, D), D and N"
        )
    if max_depth < 1 or not 0 < held_out < 1:
        raise MedtlError(
            f"surrogate_tree: max_depth {max_depth}, held_out {held_out}; expected at least 1, and 0 to 1"
        )
    classes, counts = np.unique(predicted, return_counts=True)
    held = round(held_out * len(predicted))
    if len(classes) < 2 or counts.min() < 2 or not len(classes) <= held <= len(predicted) - len(classes):
        raise MedtlError(
            f"surrogate_tree: {len(predicted)} cases of {len(classes)} predicted classes, the rarest with "
            f"{counts.min()}; expected two classes, 2 cases of each, and room for all in both parts"
        )
    train, test = train_test_split(
        np.arange(len(predicted)), test_size=held, random_state=seed, stratify=predicted
    )
    tree = DecisionTreeClassifier(max_depth=max_depth, random_state=seed)
    tree.fit(features[train], predicted[train])
    return SurrogateTree(
        tree=tree,
        fidelity=float(tree.score(features[test], predicted[test])),
        majority=float(np.mean(predicted[test] == classes[counts.argmax()])),
        depth=int(tree.get_depth()),
        leaves=int(tree.get_n_leaves()),
        rules=export_text(tree, feature_names=list(names)),
    )
