"""Shortcuts: what is planted is found where it was planted, and nothing in images without one."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtl_core.data.archives.archive import Archive, read_archive
from medtl_core.data.auditing.near_duplicates import near_pairs
from medtl_core.data.auditing.probes import (
    auroc_error,
    borders,
    grey_histograms,
    kept_together,
    probe,
    probe_across,
)
from medtl_core.data.auditing.shortcuts import shortcuts
from medtl_core.data.duplicates import joined_groups

N = 240
LABELS = np.arange(N) % 2
SITES = np.array(["x"] * (N // 2) + ["y"] * (N // 2))
ALONE = np.arange(N)


def noise(seed=0):
    return np.random.default_rng(seed).integers(60, 180, (N, 32, 32), dtype=np.uint8)


def made(images, domains=None, labels=LABELS, groups=None):
    return Archive("made", images, labels, ("a", "b"), domains=domains, groups=groups)


def told(archive):
    found = shortcuts(archive, joined_groups(archive))
    return {each.finding.kind for each in found if each.finding}


@pytest.mark.slow
def test_noise_holds_no_shortcut_but_is_measured():
    archive = made(noise(), SITES)
    found = shortcuts(archive, joined_groups(archive))
    assert [each.kind for each in found] == [
        "domain_visible",
        "domain_tells_class",
        *["border_tells_class", "histogram_tells_class"] * 2,
        *["class_bound_to_domain"] * 2,
    ]
    assert told(archive) == set()
    assert all(0.3 < each.skill.auroc < 0.7 for each in found)


def test_a_mark_at_the_border_gives_the_class_away():
    images = noise()
    images[LABELS == 1, :2] = np.sort(images[LABELS == 1, :2], axis=-1)  # same grey values, other places
    assert told(made(images)) == {"border_tells_class"}
    images = noise()
    images[LABELS == 1, 12:20, 12:20] += 40  # in the middle: no border, but other grey values
    assert "border_tells_class" not in told(made(images))


def test_brightness_gives_the_class_away():
    images = noise()
    images[LABELS == 1] += 30
    assert "histogram_tells_class" in told(made(images))


@pytest.mark.slow
def test_a_domain_is_visible_and_tells_the_class():
    images = noise()
    images[SITES == "y", 8:24] += 40
    assert told(made(images, SITES)) == {"domain_visible"}
    mostly = np.where(np.arange(N) % 10 == 0, 1, 0) ^ (SITES == "y")
    assert told(made(noise(), SITES, mostly)) == {"domain_tells_class"}


@pytest.mark.slow
def test_a_class_that_looks_otherwise_in_each_domain_is_bound_to_it():
    images = noise()
    images[(SITES == "x") & (LABELS == 1), 8:16, 8:24] += 50
    images[(SITES == "y") & (LABELS == 0), 8:16, 8:24] += 50
    assert "class_bound_to_domain" in told(made(images, SITES))
    images = noise()
    images[LABELS == 1, 8:16, 8:24] += 50
    assert "class_bound_to_domain" not in told(made(images, SITES))


def test_the_share_of_a_class_in_a_domain_is_its_score():
    labels = np.r_[np.ones(90, int), np.zeros(30, int), np.ones(40, int), np.zeros(80, int)]
    archive = made(noise(), SITES, labels)
    skill = shortcuts(archive, ALONE)[1].skill
    expected = roc_auc_score(labels, np.where(SITES == "x", 90 / 120, 40 / 120))
    assert skill.auroc == pytest.approx(expected)
    assert skill.error == pytest.approx(auroc_error(expected, 130, 110))


def test_a_small_domain_counts_by_its_shares():
    sites = np.array(["x"] * 200 + ["y"] * 40)
    labels = np.r_[np.ones(50, int), np.zeros(150, int), np.ones(30, int), np.zeros(10, int)]
    archive = made(noise(), sites, labels)
    expected = roc_auc_score(labels, np.where(sites == "x", 50 / 200, 30 / 40))
    assert shortcuts(archive, ALONE)[1].skill.auroc == pytest.approx(expected)


def test_groups_stay_on_one_side_of_a_fold():
    rng = np.random.default_rng(0)
    patients = np.arange(N) // 6
    signature = rng.normal(size=(N // 6, 300))[patients].astype(np.float32)  # says who, not what
    labels = rng.integers(0, 2, N // 6)[patients]
    assert probe(signature, labels, ALONE).auroc > 0.95
    assert abs(probe(signature, labels, patients).auroc - 0.5) < 0.25


def test_near_duplicates_stay_together_and_chains_are_joined():
    archive = made(noise(), groups=np.array([f"p{i}" for i in range(N)]))
    together = kept_together(archive, np.array([[0, 1], [1, 2], [7, 9]]))
    assert together[0] == together[1] == together[2] != together[7] == together[9]
    assert len(np.unique(together)) == N - 3
    assert len(np.unique(kept_together(archive, np.empty((0, 2), np.int64)))) == N


def test_the_error_of_chance_is_that_of_the_rank_test():
    assert auroc_error(0.5, 30, 70) == pytest.approx(math.sqrt((30 + 70 + 1) / (12 * 30 * 70)))
    assert auroc_error(1.0, 30, 70) == 0
    # By hand: Q1 = 2/3, Q2 = 32/45; (.16 + 29 * .02667 + 69 * .07111) / 2100.
    assert auroc_error(0.8, 30, 70) == pytest.approx(math.sqrt(5.84 / 2100))


def test_features_are_what_they_say():
    images = noise()
    images[0, :, :16], images[0, :, 16:] = 0, 255
    np.testing.assert_allclose(grey_histograms(images)[0], [0.5, *[0] * 14, 0.5, 0.5, 0.5])
    assert borders(images).shape == (N, 32 * 32 - 28 * 28)
    changed = images.copy()
    changed[:, 2:-2, 2:-2] = 0
    np.testing.assert_array_equal(borders(changed), borders(images))


def test_small_classes_are_not_asked_about():
    rare = np.where(np.arange(N) < 9, 1, 0)
    features = noise().reshape(N, -1).astype(np.float32)
    assert probe(features, rare, ALONE) is None
    assert probe_across(features, rare, ALONE, SITES == "x", SITES == "y") is None
    assert shortcuts(made(noise(), labels=rare), ALONE) == []


def test_the_same_seed_gives_the_same_skill():
    features = noise().reshape(N, -1).astype(np.float32)
    assert probe(features, LABELS, ALONE, seed=1) == probe(features, LABELS, ALONE, seed=1)
    assert probe(features, LABELS, ALONE, seed=1) != probe(features, LABELS, ALONE, seed=2)


LUNGS = Path(os.environ.get("MEDTL_DATA", "")) / "covid_ct_96.npz"


@pytest.mark.skipif(not LUNGS.is_file(), reason="covid_ct_96.npz is not in MEDTL_DATA")
def test_what_tells_covid_is_bound_to_the_source():
    archive = read_archive(LUNGS)
    measured = shortcuts(archive, kept_together(archive, near_pairs(archive.images)))
    found = {each.finding.kind for each in measured if each.finding}
    # Both sources hold both classes alike, so that the name of the source says nothing of the class.
    expected = {"domain_visible", "border_tells_class", "histogram_tells_class", "class_bound_to_domain"}
    assert found == expected
