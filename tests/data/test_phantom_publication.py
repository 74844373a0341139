"""The leaking published split: as many copies as said, of training images, and nothing else shared."""

from dataclasses import replace

import numpy as np
import pytest

from medtl_core.data.audit import audit
from medtl_core.data.phantoms.phantoms import SPECS, PhantomSpec, draw
from medtl_core.data.splits import split
from medtl_core.errors import MedtlError

SPEC = SPECS["phantoms_leaky"]


@pytest.fixture(scope="module")
def leaky():
    return draw(SPEC, 0)


@pytest.fixture(scope="module")
def original():
    return draw(replace(SPEC, leaked=None), 0)


def pixels_of(images):
    return [image.tobytes() for image in images]


def test_the_share_of_copies_is_the_one_asked_for(leaky):
    train = set(pixels_of(leaky.images[leaky.splits == "train"]))
    copied = np.array([image in train for image in pixels_of(leaky.images[leaky.splits == "test"])])
    labels = leaky.labels[leaky.splits == "test"]
    assert len(labels) == pytest.approx(leaky.n / 4, abs=20)
    for label in range(leaky.n_classes):
        n = (labels == label).sum()
        assert copied[labels == label].sum() == round(0.6 * n)


def test_a_copy_brings_all_that_belongs_to_its_original(leaky):
    train = {image: i for i, image in enumerate(pixels_of(leaky.images)) if leaky.splits[i] == "train"}
    pairs = [
        (train[p], i)
        for i, p in enumerate(pixels_of(leaky.images))
        if leaky.splits[i] == "test" and p in train
    ]
    first, copy = np.array(pairs).T
    assert len(pairs) > 100
    for values in (leaky.labels, leaky.groups, leaky.masks, *leaky.metadata.values()):
        np.testing.assert_array_equal(values[copy], values[first])


def test_test_patients_that_are_not_copied_stand_in_test_alone(leaky):
    train = set(pixels_of(leaky.images[leaky.splits == "train"]))
    clean = [i for i in np.flatnonzero(leaky.splits == "test") if leaky.images[i].tobytes() not in train]
    assert not set(leaky.groups[clean]) & set(leaky.groups[leaky.splits == "train"])


def test_everything_but_the_copies_is_as_drawn_without_a_leak(leaky, original):
    assert original.splits is None
    changed = (leaky.images != original.images).any(axis=(1, 2))
    assert 0 < changed.sum() <= round(0.6 * (leaky.splits == "test").sum()) + leaky.n_classes
    assert not changed[leaky.splits == "train"].any()


def test_no_copies_leave_an_honest_published_split():
    honest = draw(replace(SPEC, n=200, leaked=0.0), 0)
    assert not audit(honest).findings
    parts = split(honest, seed=0)
    np.testing.assert_array_equal(parts.test, np.flatnonzero(honest.splits == "test"))


def test_the_leak_is_found_and_the_published_split_refused(leaky):
    found = {finding.kind for finding in audit(leaky).findings}
    assert found == {"identical_images", "identical_across_splits", "group_across_splits"}
    with pytest.raises(MedtlError, match="two splits"):
        split(leaky)
    assert not audit(leaky, split(leaky, published=False)).leaks


def test_a_class_of_one_patient_cannot_be_published():
    spec = PhantomSpec(n=8, images_per_patient=(4, 4), leaked=0.5)
    with pytest.raises(MedtlError, match="has 1 patient") as caught:
        draw(spec, 0)
    assert "\n" not in str(caught.value)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(MedtlError, match=r"leaked is 1\.5"):
        draw(replace(SPEC, leaked=1.5), 0)
