"""What is known of a metric by its name: its words for a reader, and the range that it can have."""

_WORDS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ece": "expected calibration error",
    "brier": "Brier score",
    "macro_f1": "macro F1",
    "dice": "Dice",
    "mmd2": "squared MMD",
    "macs": "MACs",
    "proxy_a_distance": "proxy A-distance",
    "train_auroc": "AUROC on training images",
    "val_auroc": "AUROC on validation images",
    "train_accuracy": "accuracy on training images",
    "generalisation_gap": "AUROC gap between training and test images",
    "shifted_auroc": "AUROC on shifted images",
    "coverage": "share of held-out images covered",
    "log2_vendi": "Vendi score (log2)",
    "log2_worth": "worth in real images (log2)",
    "auroc_drop": "drop in AUROC",
    "error": "error rate",
    "excess_error": "error rate above the Bayes limit",
    "log2_labels_needed": "labelled images needed (log2)",
    "log2_seconds": "training time (log2 of seconds)",
    "log2_steps": "optimiser steps (log2)",
    "log10_seconds": "training time (log10 of seconds)",
    "tuning_seconds": "training time (s)",
    "seconds": "time (s)",
    "ms_per_image": "time per image (ms)",
    "images_seen": "training images seen",
    "parameters": "parameters",
    "cost": "cost of labels",
}
_PARTS = {"auroc": "AUROC", "auprc": "AUPRC", "ece": "ECE", "f1": "F1", "val": "validation"}
_SCORES = {"auroc", "auprc", "accuracy", "recall", "dice", "f1", "consistency", "hit", "precision", "iou"}
_SIGNED = {"drop", "gap", "change", "difference", "flips", "loss", "log2", "log10", "deviation"}
_SHARES = {"ece", "error", "excess_error", "failed", "censored", "reached", "leaked_share", "told_apart"}
_COUNTS = {
    "parameters",
    "macs",
    "seconds",
    "steps",
    "candidates",
    "weights",
    "images",
    "cost",
    "share",
    "rank",
}


def metric_in_words(metric: str, labels: dict[str, str] | None = None) -> str:
    """The metric's name for an axis or a sentence: from `labels`, from what is known, else its own words."""
    if labels and metric in labels:
        return labels[metric]
    if metric in _WORDS:
        return _WORDS[metric]
    return " ".join(_PARTS.get(part, part) for part in metric.split("_"))


def range_of(metric: str) -> tuple[float | None, float | None]:
    """The smallest and the largest value that a metric can have; None where no bound is known.

    Scores and shares lie in [0, 1], times and counts are at least 0. A score of several classes that may
    exceed 1 (Brier) has only its lower bound.
    """
    parts = set(metric.split("_"))
    if metric in _SHARES:
        return 0.0, 1.0
    if parts & _SIGNED:
        return None, None
    if parts & _SCORES:
        return 0.0, 1.0
    if metric == "brier" or parts & _COUNTS:
        return 0.0, None
    return None, None


def chance_of(metric: str) -> float | None:
    """What a guess reaches: .5 for AUROC, whatever the classes; None where it depends on the data."""
    parts = set(metric.split("_"))
    return 0.5 if "auroc" in parts and not parts & _SIGNED else None
