"""The one-pass sweep: features against truncated networks, probes against SciPy, the choice by hand."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from medtl_core.backbones.stages import CutPoint
from medtl_core.backbones.zoo import Backbone, build
from medtl_core.data.tensors import DeviceDataset
from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.training.features import pooled_features
from medtl_core.truncation.probe_sweep import CutFeatures, features_at_cuts, sweep
from medtl_core.truncation.truncated import truncate

TRAIN, VAL = np.arange(60), np.arange(60, 100)


@cache
def backbone() -> Backbone:
    return build("mobilenetv2_100", num_classes=2, pretrained=False, seed=0)


@pytest.fixture
def images() -> DeviceDataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (5, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return DeviceDataset(pixels, torch.arange(5) % 2)


def planted(signals: list[float], classes: int = 2) -> tuple[CutFeatures, np.ndarray]:
    """Features whose class means lie `signal` apart, one array per cut point; two cuts to a stage."""
    rng = np.random.default_rng(1)
    labels = np.arange(100) % classes
    values = []
    for signal in signals:
        noise = rng.normal(size=(100, 6))
        noise[:, 0] += signal * labels
        values.append(noise.astype(np.float32))
    cuts = tuple(CutPoint(i, f"cut{i}", f"m{i}", i // 2, 6) for i in range(len(signals)))
    return CutFeatures(cuts, tuple(values), 0.5), labels


def test_features_are_those_of_every_truncated_network(images: DeviceDataset) -> None:
    found = features_at_cuts(backbone(), images, batch_size=2)
    assert len(found.cuts) == 19
    for cut, values in list(zip(found.cuts, found.values, strict=True))[::6]:
        alone = truncate(backbone(), cut, num_classes=2, seed=0)
        expected = pooled_features(alone, images).numpy()
        assert values.shape == (5, cut.channels)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)


def test_the_probe_minimises_the_penalised_loss() -> None:
    features, labels = planted([1.0], classes=3)
    inverse_penalty = 0.1
    found = sweep(features, labels, train=TRAIN, val=VAL, inverse_penalties=[inverse_penalty]).tried[0]
    x = features.values[0].astype(float)
    x = (x - x[TRAIN].mean(0)) / x[TRAIN].std(0)

    def objective(flat: np.ndarray) -> float:
        weights = flat.reshape(3, 7)
        logits = log_softmax(x[TRAIN] @ weights[:, :6].T + weights[:, 6], axis=1)
        return (weights[:, :6] ** 2).sum() / 2 - inverse_penalty * logits[TRAIN, labels[TRAIN]].sum()

    weights = minimize(objective, np.zeros(21), method="BFGS").x.reshape(3, 7)
    expected = np.exp(log_softmax(x[VAL] @ weights[:, :6].T + weights[:, 6], axis=1))
    np.testing.assert_allclose(found.probe.predict_proba(features.values[0][VAL]), expected, atol=1e-3)
    assert found.val_auroc == pytest.approx(auroc(labels[VAL], expected), abs=0.01)
    assert found.val_loss == pytest.approx(-np.log(expected[np.arange(40), labels[VAL]]).mean(), abs=1e-3)


def test_the_cut_that_holds_the_signal_is_chosen_and_each_stage_sends_its_best() -> None:
    features, labels = planted([0.0, 1.0, 5.0, 0.5, 2.0, 0.0, 9.0])
    result = sweep(features, labels, train=TRAIN, val=VAL)
    assert result.chosen.cut.name in ("cut2", "cut6")
    assert [probed.cut.name for probed in result.best(2)] == ["cut2", "cut4"]
    assert [probed.cut.stage for probed in result.best(9)] == [1, 2, 0]
    assert result.candidates == 7 * 4
    assert result.seconds == pytest.approx(0.5 + sum(probed.seconds for probed in result.tried))
    assert list(result.table().cut) == [f"cut{i}" for i in range(7)]


def test_the_penalty_of_the_best_validation_is_kept() -> None:
    features, labels = planted([0.7])
    alone = [
        sweep(features, labels, train=TRAIN, val=VAL, inverse_penalties=[c]).tried[0]
        for c in (1e-4, 0.1, 100)
    ]
    together = sweep(features, labels, train=TRAIN, val=VAL, inverse_penalties=(1e-4, 0.1, 100)).tried[0]
    best = max(alone, key=lambda probed: (probed.val_auroc, -probed.val_loss))
    assert together.inverse_penalty == best.inverse_penalty
    assert (
        together.val_loss == best.val_loss == min(p.val_loss for p in alone if p.val_auroc == best.val_auroc)
    )


def test_features_can_be_narrowed_to_named_cuts() -> None:
    features, _ = planted([0.0, 1.0, 2.0])
    narrowed = features.only(["cut2", "cut0"])
    assert [cut.name for cut in narrowed.cuts] == ["cut0", "cut2"]
    assert narrowed.values[1] is features.values[2]


def test_refusals_are_one_line() -> None:
    features, labels = planted([1.0, 2.0])
    for call in (
        lambda: features.only(["cut7"]),
        lambda: sweep(features, labels, train=TRAIN, val=VAL, inverse_penalties=[]),
        lambda: sweep(features, labels, train=TRAIN, val=VAL, inverse_penalties=[-1.0]),
        lambda: sweep(features, labels, train=TRAIN[::2], val=VAL),
        lambda: sweep(features, labels, train=TRAIN, val=VAL[::2]),
        lambda: sweep(features, labels, train=TRAIN, val=VAL).best(0),
    ):
        with pytest.raises(MedtlError, match="expected") as caught:
            call()
        assert "\n" not in str(caught.value)
