"""The whole audit: its verdict, and that it says the same in lines, Markdown and JSON."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medtl_core.data.archives.archive import Archive
from medtl_core.data.auditing.report import full_audit, quick_verdict
from medtl_core.data.auditing.verdicts import groups_are_copies, verdict
from medtl_core.data.sources import registry
from medtl_core.data.sources.dataset_card import DatasetCard

N = 120
CARD = DatasetCard("made", "made up", N, 24, 1, ("a", "b"), "CC0-1.0", "nobody", "", "", "MEDTL_DATA", None)
PATIENTS = np.array([f"p{i // 2}" for i in range(N)])


def made(**changes) -> Archive:
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(N, 24, 24)), (0, 2, 2))
    images = np.rint(np.clip(smooth / smooth.std() * 40 + 128, 0, 255)).astype(np.uint8)
    content = {"images": images, "labels": np.arange(N) // 2 % 2, "groups": PATIENTS} | changes
    return Archive("made", class_names=("a", "b"), **content)


def word(**changes) -> str:
    return full_audit(made(**changes), CARD).verdict.word


def near_copy(images, source, target):
    images[target] = images[source]
    images[target, 0, 0] ^= 4
    return images


def test_known_patients_and_nothing_in_two_parts_is_clean():
    report = full_audit(made(), CARD)
    assert (report.verdict.word, report.findings, report.near_pairs) == ("clean", (), 0)
    assert report.text() == "verdict: clean"
    assert quick_verdict(made()) == report.verdict


def test_what_stands_in_two_parts_is_leaky():
    splits = np.array(["train"] * 60 + ["val"] * 20 + ["test"] * 40)
    assert word(splits=splits) == "clean"
    torn = PATIENTS.copy()
    torn[100] = "p0"
    assert word(splits=splits, groups=torn) == "leaky"
    images = made().images.copy()
    images[100] = images[0]
    assert word(splits=splits, images=images) == "leaky"
    report = full_audit(made(splits=splits, images=near_copy(made().images.copy(), 1, 101)), CARD)
    assert str(report.verdict) == "leaky: 1 of 40 test images are nearly the same as train images"
    assert quick_verdict(made(splits=splits, images=images)).word == "leaky"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"groups": None},
        pytest.param({"labels": np.zeros(N, int)}, marks=pytest.mark.slow),
        {"images": np.repeat(made().images[::2], 2, 0), "groups": np.arange(N).astype(str)},
        pytest.param(
            {"splits": np.array(["train"] * 61 + ["val"] * 21 + ["test"] * 38)}, marks=pytest.mark.slow
        ),
        pytest.param({"domains": np.where(made().labels == 1, "x", "y")}, marks=pytest.mark.slow),
    ],
)
def test_the_quick_verdict_is_that_of_the_whole_audit(changes):
    archive = made(**changes)
    assert quick_verdict(archive) == full_audit(archive, CARD).verdict


def test_the_line_beside_a_result_names_no_group():
    found = quick_verdict(made(splits=np.array(["train"] * 61 + ["val"] * 21 + ["test"] * 38)))
    assert "p30" in str(found)
    assert found.why == "1 of 60 groups stand in more than one split"
    assert quick_verdict(made()).why == ""


def test_a_class_that_is_a_domain_is_leaky():
    assert word(domains=np.where(made().labels == 1, "x", "y")) == "leaky"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": None}, "has no groups"),
        ({"groups": np.where(np.arange(N) == 3, "", PATIENTS)}, "patients of 1 of 120 images are unknown"),
        ({"labels": np.zeros(N, int)}, "cannot be measured"),
    ],
)
def test_what_nobody_can_know_is_not_auditable(changes, reason):
    report = full_audit(made(**changes), CARD)
    assert report.verdict.word == "not auditable"
    assert reason in report.text()


def test_images_that_were_drawn_need_no_patients():
    assert word(groups=None, origin="synthetic") == "clean"


def test_groups_that_are_sets_of_identical_images_say_nothing_of_patients():
    images = made().images.copy()
    images[1] = images[0]
    each = np.array(["same", "same", *(f"i{i}" for i in range(2, N))])
    assert groups_are_copies(made(images=images, groups=each))
    assert word(images=images, groups=each) == "not auditable"
    assert not groups_are_copies(made(groups=np.array([f"i{i}" for i in range(N)])))  # an image a patient
    assert not groups_are_copies(made(images=images))
    assert verdict(made(), []).word == "clean"


def test_sets_of_identical_images_are_counted():
    images = made().images.copy()
    images[[1, 3, 50]] = images[0]  # p0, p1, p25
    images[7] = images[6]  # both p3
    report = full_audit(made(images=images), CARD)
    assert report.identical_sets == (2, 1)
    assert "sets of identical images: 2, in two groups: 1" in report.text()


@pytest.mark.slow
def test_the_values_are_json():
    images = made().images.copy()
    images[:6] = 0
    values = full_audit(
        made(images=near_copy(images, 10, 11), domains=np.array(["x", "y"] * 60)), CARD
    ).values()
    assert json.loads(json.dumps(values))["verdict"]["word"] == "clean"
    assert {each["kind"] for each in values["findings"]} >= {"constant_images", "near_duplicates"}
    assert {each["kind"] for each in values["shortcuts"]} >= {"domain_visible", "border_tells_class"}


DATA = Path(os.environ.get("MEDTL_DATA", "none"))
KNOWN = {
    "brain_mri_64": ("leaky", ["251 of 394 test images are pixel-identical to train images"]),
    "breast_ultrasound_128": ("leaky", ["305 of 780 images are nearly the same as another one (197 pairs)"]),
    "chest_xray_64": ("clean", ["sets of identical images: 31, in two groups: 1"]),
    "covid_ct_96": ("leaky", ["in domain 'sao_paulo' (AUROC 0.89) does not hold in 'ucsd' (0.37)"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_audit_of_real_images(name):
    if not (DATA / f"{name}.npz").is_file():
        pytest.skip(f"{name}.npz is not in MEDTL_DATA")
    expected, sentences = KNOWN[name]
    report = full_audit(registry.load(name), registry.card(name))
    assert report.verdict.word == expected
    assert all(sentence in report.text() for sentence in sentences)
