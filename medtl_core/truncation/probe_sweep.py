"""All cut points of a network probed in one forward pass, to find where it is worth cutting.

    features = features_at_cuts(backbone, images)
    result = sweep(features, labels, train=train_index, val=val_index)
    result.chosen.cut, result.best(3), result.table()

One pass gives the pooled activation at every cut point; a regularised linear classifier on each says how much
of the task can be read from it. Fine-tuning is then left to the few best cuts.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl_core.backbones.cost import Cost
from medtl_core.backbones.stages import CutPoint, activations, cut_points
from medtl_core.backbones.zoo import Backbone
from medtl_core.data.tensors import DeviceDataset
from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.training.prediction import evaluation_mode

INVERSE_PENALTIES = (0.0001, 0.001, 0.01, 0.1)


@dataclass(frozen=True)
class CutFeatures:
    """Pooled features of the same images at several cut points: arrays (N, C) float32, in order of depth.

    seconds: wall time of the forward pass that gave all of them.
    """

    cuts: tuple[CutPoint, ...]
    values: tuple[np.ndarray, ...]
    seconds: float

    def only(self, names: Sequence[str]) -> CutFeatures:
        """The features at the named cut points. MedtlError that lists the names of those that exist."""
        known = [cut.name for cut in self.cuts]
        if unknown := [name for name in names if name not in known]:
            raise MedtlError(f"features at cuts: none at {unknown[0]!r}, expected one of {', '.join(known)}")
        kept = [i for i, name in enumerate(known) if name in set(names)]
        return CutFeatures(
            tuple(self.cuts[i] for i in kept), tuple(self.values[i] for i in kept), self.seconds
        )


@dataclass(frozen=True)
class ProbedCut:
    """A cut point, the penalty that validation chose for its probe, and how well that probe did.

    inverse_penalty: C of scikit-learn; val_auroc (0 to 1, macro one-vs-rest) and val_loss (nats) on the
    validation cases; seconds: fitting and validating all candidates of this cut; probe: maps features (N, C)
    to classes.
    """

    cut: CutPoint
    inverse_penalty: float
    val_auroc: float
    val_loss: float
    seconds: float
    probe: Pipeline

    @property
    def rank(self) -> tuple[float, float]:
        """What candidates are compared by: validation AUROC, then the lower validation loss."""
        return self.val_auroc, -self.val_loss


@dataclass(frozen=True)
class Sweep:
    """Everything that was tried, in order of depth, at what cost, and what validation says of it.

    candidates: validated fits, cut points times penalties; seconds: the forward pass and all fits.
    """

    tried: tuple[ProbedCut, ...]
    candidates: int
    seconds: float

    @property
    def chosen(self) -> ProbedCut:
        """The cut of the best validation AUROC; of equals the lower loss, then the lower cut."""
        return max(self.tried, key=lambda probed: probed.rank)

    def best(self, k: int) -> list[ProbedCut]:
        """The best cut of each of the k best stages, best first; the whole network is no candidate.

        Neighbouring cuts are nearly one network, so each stage sends one. Fewer than k where there are fewer
        stages. MedtlError for k below 1.
        """
        if k < 1:
            raise MedtlError(f"sweep: the best {k} cuts are asked for, expected at least 1")
        ranked = sorted(self.tried[:-1], key=lambda probed: probed.rank, reverse=True)
        first_of_stage = {probed.cut.stage: probed for probed in reversed(ranked)}
        return sorted(first_of_stage.values(), key=lambda probed: probed.rank, reverse=True)[:k]

    def table(self, costs: Sequence[Cost] | None = None) -> pd.DataFrame:
        """One row per cut; with `costs` (of the same cuts, see `costs_of_cuts`) parameters and MACs too."""
        rows = [
            {
                "cut": probed.cut.name,
                "channels": probed.cut.channels,
                "C": probed.inverse_penalty,
                "val_auroc": probed.val_auroc,
                "val_loss": probed.val_loss,
                "seconds": probed.seconds,
            }
            for probed in self.tried
        ]
        table = pd.DataFrame(rows)
        if costs is not None:
            table["parameters"] = [cost.parameters for cost in costs]
            table["macs"] = [cost.macs for cost in costs]
        return table


def features_at_cuts(backbone: Backbone, data: DeviceDataset, batch_size: int = 256) -> CutFeatures:
    """Pooled features at every cut point of `backbone` for all images of `data`, from one forward pass each.

    Computed on the device of `data` in evaluation mode; the network has its modes back afterwards.
    Raises MedtlError for a network of an unknown family.
    """
    started = time.perf_counter()
    network = backbone.network.to(data.labels.device)
    batches = []
    with evaluation_mode(network):
        for i in range(0, len(data), batch_size):
            x = data.inputs(slice(i, i + batch_size), backbone.normalisation)
            batches.append([a.mean(dim=(2, 3)) for a in activations(network, x)])
    values = tuple(torch.cat(at_cut).float().cpu().numpy() for at_cut in zip(*batches, strict=True))
    return CutFeatures(tuple(cut_points(network)), values, time.perf_counter() - started)


def sweep(
    features: CutFeatures,
    labels: np.ndarray,
    *,
    train: np.ndarray,
    val: np.ndarray,
    inverse_penalties: Sequence[float] = INVERSE_PENALTIES,
) -> Sweep:
    """A probe for every cut point: multinomial logistic regression with an L2 penalty.

    labels: (N,) of all images; train, val: indices (M,) of those to fit on and to choose by. Features are
    standardised by the training images. Every cut gets the same candidates, one per
    penalty (inverse strengths, as scikit-learn's C).

    Raises MedtlError for no penalty, and for training or validation cases that lack a class.
    """
    if not len(inverse_penalties) or min(inverse_penalties) <= 0:
        raise MedtlError(f"sweep: inverse penalties are {inverse_penalties}, expected some above 0")
    classes = np.unique(labels)
    for name, index in (("training", train), ("validation", val)):
        if missing := sorted(set(classes) - set(labels[index])):
            raise MedtlError(
                f"sweep: no {name} case of class {missing[0]}, expected some of each; take more cases"
            )
    tried = []
    for cut, values in zip(features.cuts, features.values, strict=True):
        started = time.perf_counter()
        fits = [
            _probe(cut, values, labels, train, val, inverse_penalty) for inverse_penalty in inverse_penalties
        ]
        best = max(fits, key=lambda fitted: fitted[:2])
        seconds = time.perf_counter() - started
        tried.append(ProbedCut(cut, best[2], best[0], -best[1], seconds, best[3]))
    candidates = len(tried) * len(inverse_penalties)
    return Sweep(tuple(tried), candidates, features.seconds + sum(probed.seconds for probed in tried))


def _probe(
    cut: CutPoint,
    values: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    val: np.ndarray,
    inverse_penalty: float,
) -> tuple[float, float, float, Pipeline]:
    """Validation AUROC, minus validation loss, the penalty, and the fitted probe."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=2000))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            probe.fit(values[train], labels[train])
        except ConvergenceWarning as warning:
            raise MedtlError(
                f"sweep: the probe at {cut.name} with C = {inverse_penalty:g} did not converge; "
                "take smaller inverse penalties"
            ) from warning
    scores = probe.predict_proba(values[val])
    loss = float(log_loss(labels[val], scores, labels=probe.classes_))
    return auroc(labels[val], scores), -loss, inverse_penalty, probe
