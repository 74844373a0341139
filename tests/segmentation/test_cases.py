"""What is segmented: checks of images and masks, domains of an archive, and targets without masks."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from medtl_core.data.archives.archive import Archive
from medtl_core.errors import MedtlError
from medtl_core.segmentation.cases import (
    SegmentationCases,
    UnlabelledImages,
    domain_cases,
    intensities,
    volume_cases,
)

RNG = np.random.default_rng(0)
ARCHIVE = Archive(
    name="cells",
    images=RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
    labels=np.zeros(5, np.int64),
    class_names=("cell", "none"),
    domains=np.array(["a", "b", "a", "a", "b"]),
    masks=RNG.integers(0, 2, (5, 8, 8), dtype=np.uint8),
    mask_names=("background", "cell"),
)


def test_the_cases_of_a_domain_are_its_images_and_masks():
    cases = domain_cases(ARCHIVE, "b")
    assert cases.name == "cells, b"
    assert torch.equal(cases.images.permute(0, 2, 3, 1), torch.from_numpy(ARCHIVE.images[[1, 4]]))
    assert torch.equal(cases.masks, torch.from_numpy(ARCHIVE.masks[[1, 4]]))
    small = domain_cases(ARCHIVE, "a", grey=True, shrink=2)
    assert small.images.shape == (3, 1, 4, 4)
    block = ARCHIVE.images[2, 2:4, 4:6].astype(float).mean()
    assert abs(float(small.images[1, 0, 1, 2]) - block) <= 0.5
    assert small.masks[1, 1, 2] == ARCHIVE.masks[2, 2, 4]


def test_a_target_has_no_place_for_masks():
    target = domain_cases(ARCHIVE, "a").without_masks()
    assert {field.name for field in fields(target)} == {"name", "images"}
    assert not hasattr(target, "masks")


def test_bad_cases_are_refused_in_a_line():
    with pytest.raises(MedtlError, match="no image of domain 'c', expected one of a, b"):
        domain_cases(ARCHIVE, "c")
    with pytest.raises(MedtlError, match="cells: no masks"):
        domain_cases(replace(ARCHIVE, masks=None, mask_names=()), "a")
    with pytest.raises(MedtlError, match="cells: no domains"):
        domain_cases(replace(ARCHIVE, domains=None), "a")
    with pytest.raises(MedtlError, match="shrink is 3; expected a divisor"):
        domain_cases(ARCHIVE, "a", shrink=3)
    volumes = np.zeros((2, 4, 4, 4), np.uint8)
    with pytest.raises(MedtlError, match=r"expected uint8 \(2, 4, 4, 4\), one value for each pixel"):
        volume_cases("v", volumes, volumes[:, :2], ("background", "x"))
    with pytest.raises(MedtlError, match="a mask value is 2, but the names are background, x"):
        volume_cases("v", volumes, volumes + 2, ("background", "x"))
    with pytest.raises(MedtlError, match="expected uint8"):
        UnlabelledImages("f", torch.zeros(2, 1, 4, 4))
    with pytest.raises(MedtlError, match="no image, expected at least 1"):
        UnlabelledImages("e", torch.zeros(0, 1, 4, 4, dtype=torch.uint8))


def test_select_keeps_order_and_inputs_lie_between_minus_1_and_1():
    cases = volume_cases(
        "v", RNG.integers(0, 256, (4, 3, 3, 3), dtype=np.uint8), np.zeros((4, 3, 3, 3), np.uint8), ("b", "x")
    )
    assert torch.equal(cases.select(np.array([3, 1])).images, cases.images[[3, 1]])
    assert isinstance(cases.select(np.array([0])), SegmentationCases)
    values = intensities(torch.tensor([0, 255], dtype=torch.uint8))
    assert values.tolist() == [-1, 1]
