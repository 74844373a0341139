"""Precision and recall, the real-or-fake probe, copies, and the oracle."""

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.gans.quality import nearest_training, oracle_agreement, precision_recall, real_or_fake_auroc

RNG = np.random.default_rng(0)


def test_precision_and_recall_on_paper():
    """k = 1 on a line. Real 0, 1, 10 have radii 1, 1, 9; generated 0.5, 20, 30 have radii 19.5, 10, 10."""
    real, generated = [[0.0], [1.0], [10.0]], [[0.5], [20.0], [30.0]]
    assert precision_recall(real, generated, k=1) == pytest.approx((1 / 3, 1.0))
    assert precision_recall(generated, real, k=1) == pytest.approx((1.0, 1 / 3))


def test_precision_and_recall_by_brute_force():
    real, generated = RNG.normal(size=(40, 3)), RNG.normal(0.7, 0.5, size=(30, 3))

    def covered(members, others, k):
        hits = 0
        for other in others:
            for member in members:
                radius = sorted(np.linalg.norm(members - member, axis=1))[k]
                if np.linalg.norm(other - member) <= radius:
                    hits += 1
                    break
        return hits / len(others)

    expected = covered(real, generated, 3), covered(generated, real, 3)
    assert precision_recall(real, generated) == pytest.approx(expected)


def test_a_missing_kind_costs_recall_and_a_wrong_one_precision():
    two = np.concatenate([RNG.normal(0, 1, (100, 2)), RNG.normal(20, 1, (100, 2))])
    one = RNG.normal(0, 1, (100, 2))
    precision, recall = precision_recall(two, one)
    assert precision > 0.8
    assert 0.3 < recall < 0.55
    with pytest.raises(MedtlError, match="at least 4 cases"):
        precision_recall(two[:3], one)


def test_the_probe_is_at_chance_for_equal_sets_and_sure_for_others():
    real = RNG.normal(size=(200, 4))
    assert real_or_fake_auroc(real, RNG.normal(size=(200, 4))) == pytest.approx(0.5, abs=0.1)
    assert real_or_fake_auroc(real, RNG.normal(4, 1, size=(150, 4))) > 0.99
    halfway = real_or_fake_auroc(real, RNG.normal([1, 0, 0, 0], 1, size=(200, 4)))
    assert halfway == pytest.approx(0.76, abs=0.06)  # Phi(1 / sqrt 2)


def test_the_probe_is_held_out():
    """More features than images: the training images are told apart perfectly, others by chance."""
    assert real_or_fake_auroc(RNG.normal(size=(40, 200)), RNG.normal(size=(40, 200))) == pytest.approx(
        0.5, abs=0.2
    )
    with pytest.raises(MedtlError, match="5 folds for 40 real images of 2 patients"):
        real_or_fake_auroc(RNG.normal(size=(40, 2)), RNG.normal(size=(40, 2)), groups=np.arange(40) % 2)


def test_copies_are_found_with_the_patient_they_copy():
    rng = np.random.default_rng(1)
    training, held_out = rng.normal(size=(50, 6)), rng.normal(size=(100, 6))
    patients = np.array([f"p{i // 5}" for i in range(50)])
    generated = np.concatenate([training[[7, 33]] + 1e-4, rng.normal(size=(60, 6))])
    found = nearest_training(generated, training, patients, held_out)
    assert found.index[:2].tolist() == [7, 33]
    assert found.group[:2].tolist() == ["p1", "p6"]
    assert found.distance[:2] == pytest.approx(1e-4 * 6**0.5)
    assert found.copies[:2].all()
    assert found.copied_share < 0.1
    nearest = np.sort([np.linalg.norm(training - one, axis=1).min() for one in held_out])
    assert nearest[0] <= found.threshold <= nearest[1]
    with pytest.raises(MedtlError, match=r"groups \(3,\), expected \(50,\)"):
        nearest_training(generated, training, patients[:3], held_out)


def test_the_oracle_counts_what_was_asked_for():
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.3, 0.7, 0]])
    found = oracle_agreement([0, 0, 1, 1], scores, [0, 1, 0, 2], scores)
    assert found.overall == 0.5
    assert found.by_class == pytest.approx([0.5, 0.5, np.nan], nan_ok=True)
    assert found.real_overall == 0.75
    assert found.real_by_class == pytest.approx([1, 1, 0])
    with pytest.raises(MedtlError):
        oracle_agreement([0], scores, [0, 1, 0, 2], scores)
