"""One look for all notebooks: theme, palette, and one colour for one arm wherever it is drawn."""

import hashlib
from collections.abc import Sequence
from typing import Any

BLUE, ORANGE, GREEN, VERMILION = "#0173b2", "#de8f05", "#029e73", "#d55e00"
PURPLE, TAN, GREY, SKY = "#b35ea1", "#a6703f", "#8c8c8c", "#56b4e9"
INDIGO, OLIVE, WINE, TEAL = "#332288", "#8a8a1f", "#882255", "#3ba99c"

PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, TAN, GREY, SKY, INDIGO, OLIVE, WINE, TEAL)
"""Twelve colours that stand out from white. The first four are those of seaborn's colour-blind palette; no
figure relies on colour alone, so that the later ones may come close to each other for some eyes."""

ARM_COLOURS = {
    # A whole pretrained network, or the usual way of doing the thing.
    "full": BLUE,
    "ftl": BLUE,
    "full_network": BLUE,
    "pretrained": BLUE,
    "cnn": BLUE,
    "shared": BLUE,
    "relu": BLUE,
    "max_pool": BLUE,
    "within": BLUE,
    "in_source": BLUE,
    "whole": BLUE,
    "pooled": BLUE,
    "svm": BLUE,
    "lesion_model": BLUE,
    "exhaustive": BLUE,
    "best_exhaustive": GREEN,
    # Where a comparison starts from: no transfer, no adaptation, no correction.
    "scratch": ORANGE,
    "ttl_scratch": ORANGE,
    "supervised": ORANGE,
    "source_only": ORANGE,
    "random": ORANGE,
    "mlp": ORANGE,
    "linear": ORANGE,
    "pixel_logistic": ORANGE,
    "softmax": ORANGE,
    "flattened": ORANGE,
    "raw": ORANGE,
    "by_image": ORANGE,
    # Frozen features and other cheap means.
    "linear_probe": GREEN,
    "hog_svm": GREEN,
    "self_training": GREEN,
    "importance_weighted": GREEN,
    "knn": GREEN,
    "grouped": GREEN,
    "tanh": GREEN,
    "strided": GREEN,
    "sweep": GREEN,
    # What the lesson puts to the test, and what should give cause for doubt.
    "ttl": VERMILION,
    "chosen": VERMILION,
    "two_stage": VERMILION,
    "medical": VERMILION,
    "unshared": VERMILION,
    "across": VERMILION,
    "cross_source": VERMILION,
    "published": VERMILION,
    "background": VERMILION,
    "mark_model": VERMILION,
    # Bounds and chance.
    "random_probe": GREY,
    "target_oracle": GREY,
    "bayes": GREY,
    "prior": GREY,
    "identity": GREY,
    "none": GREY,
    # The others.
    "mean_var": PURPLE,
    "tf": PURPLE,
    "mean_teacher": PURPLE,
    "refit": PURPLE,
    "purged": PURPLE,
    "sigmoid": PURPLE,
    "unrelated": TAN,
    "supervised_network": TAN,
    "unshared_same_width": TAN,
    "pixel_forest": TAN,
    "centre": TAN,
    "last_stage": SKY,
    "label_spreading": SKY,
    "frozen_svm": SKY,
    "clahe": SKY,
    "placebo": SKY,
    "last_three": INDIGO,
    "lwft": INDIGO,
    "discriminative": OLIVE,
    "medical_probe": WINE,
    "probe_then_full": TEAL,
    "frozen_knn": TEAL,
    "sweep_best": TEAL,
}
"""The colours of the arms that the notebooks compare. Arms of one study differ; an arm that is not listed
takes a colour that follows from its name."""

TEXT = "#262626"
QUIET = "#6b6b6b"
BAND = "#e3e3e3"


def use_style() -> None:
    """Set the look of every figure of a notebook: seaborn's white grid, this palette, sharp on any screen.

    In Jupyter, figures of pyplot are shown at twice the resolution of the page.
    """
    import matplotlib as mpl
    import seaborn as sns
    from IPython.core.getipython import get_ipython

    sns.set_theme(style="whitegrid", palette=list(PALETTE), rc=rc_params())
    mpl.rcParams["figure.dpi"] = 96
    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def rc_params() -> dict[Any, Any]:
    """The settings of the package's own figures, whether `use_style` was called or not."""
    return {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10.0,
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.labelsize": 10.0,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.facecolor": "white",
        "figure.facecolor": "white",
        "axes.edgecolor": "#bdbdbd",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e8e8e8",
        "grid.linewidth": 0.8,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
        "legend.frameon": False,
        "image.cmap": "gray",
        "image.interpolation": "nearest",
    }


def colour_of(arm: str) -> str:
    """The colour of an arm (hexadecimal), the same in all notebooks: `ARM_COLOURS`, else by its name."""
    known = ARM_COLOURS.get(arm)
    if known is not None:
        return known
    return PALETTE[int(hashlib.sha256(arm.encode()).hexdigest(), 16) % len(PALETTE)]


def colours_of(arms: Sequence[str]) -> dict[str, str]:
    """A colour for each arm of one figure, all different for up to twelve arms.

    An arm keeps `colour_of`; where two would share one, the listed arm keeps it and the other takes the next
    colour of `PALETTE` that is free.
    """
    found: dict[str, str] = {}
    for arm in sorted(dict.fromkeys(arms), key=lambda arm: arm not in ARM_COLOURS):
        first = PALETTE.index(colour_of(arm))
        turns = PALETTE[first:] + PALETTE[:first]
        found[arm] = next((colour for colour in turns if colour not in found.values()), turns[0])
    return {arm: found[arm] for arm in dict.fromkeys(arms)}


def words(name: object, labels: dict[str, str] | None = None) -> str:
    """A name of arm, metric or factor in words: what `labels` says of it, else without underscores."""
    text = str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)
    return (labels or {}).get(text, text.replace("_", " "))
