"""Phantoms for translation: partners share their anatomy; lesions lie where masks say."""

import numpy as np

from medtl_core.gans import paired_scanners, with_and_without_lesion


def test_partners_show_the_same_patient_on_two_scanners():
    first, second = paired_scanners(40, 32, seed=1)
    assert np.array_equal(first.masks, second.masks)
    assert np.array_equal(first.labels, second.labels)
    assert len(set(first.groups)) == 40
    x, y = first.images.astype(float), second.images.astype(float)
    of_partners = np.abs(x - y).mean((1, 2))
    assert of_partners.min() > 5  # the scanners differ
    # Same anatomy: by the ranks of its pixels an image is nearest to its partner.
    ranks = [image.reshape(40, -1).argsort(1).argsort(1) for image in (x, y)]
    alike = np.corrcoef(*ranks)[:40, 40:]
    assert (alike.argmax(1) == np.arange(40)).mean() > 0.9


def test_only_the_second_half_has_lesions_and_no_patient_is_in_both():
    archive = with_and_without_lesion(30, 32, seed=2)
    assert archive.labels.tolist() == [0] * 30 + [1] * 30
    assert archive.masks[:30].max() == 0
    assert archive.masks[30:].max(axis=(1, 2)).min() == 1
    assert not set(archive.groups[:30]) & set(archive.groups[30:])
    assert archive.synthetic


def test_a_lesion_is_brighter_than_what_surrounds_it():
    archive = with_and_without_lesion(30, 32, seed=2)
    images, inside = archive.images[30:].astype(float), archive.masks[30:] == 1
    body = images > 30
    assert images[inside].mean() > images[body & ~inside].mean() + 40


def test_the_radius_of_the_lesions_is_that_asked_for():
    small, large = (
        with_and_without_lesion(40, 64, seed=2, lesion_radius=radius).masks[40:].sum((1, 2)).mean()
        for radius in ((0.1, 0.1), (0.3, 0.3))
    )
    assert large / small > 5  # 9 by the squares of the radii; large lesions are cut at the rim of the body
