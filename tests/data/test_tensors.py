"""Resident sets against NumPy and Pillow, augmentation against scipy.ndimage and exact flips."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from medtl_core.data.archives.archive import Archive
from medtl_core.data.tensors import (
    DeviceDataset,
    Normalisation,
    augment_affine,
    normalise,
    replicate_grey,
    resample,
)
from medtl_core.errors import MedtlError

RGB = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def archive(n=12, height=16, width=16, colour=False, seed=0) -> Archive:
    rng = np.random.default_rng(seed)
    shape = (n, height, width, 3) if colour else (n, height, width)
    return Archive(
        name="tiny",
        images=rng.integers(0, 256, shape).astype(np.uint8),
        labels=np.arange(n, dtype=np.int64) % 3,
        class_names=("a", "b", "c"),
        groups=None,
        domains=None,
        masks=None,
        mask_names=(),
        splits=None,
        metadata={},
    )


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("colour", [False, True])
def test_images_stay_uint8_in_the_order_of_the_index(colour):
    source, index = archive(colour=colour, height=10, width=14), np.array([7, 2, 11])
    data = DeviceDataset.from_archive(source, index, "cpu")
    expected = source.images[index]
    expected = expected.transpose(0, 3, 1, 2) if colour else expected[:, None]
    assert (data.images.dtype, data.labels.dtype, len(data)) == (torch.uint8, torch.int64, 3)
    np.testing.assert_array_equal(data.images.numpy(), expected)
    np.testing.assert_array_equal(data.labels.numpy(), source.labels[index])


def test_resizing_equals_pillow():
    source = archive(n=4, height=64, width=64)
    data = DeviceDataset.from_archive(source, np.arange(4), "cpu", size=28)
    expected = [
        np.asarray(Image.fromarray(i).resize((28, 28), Image.Resampling.BILINEAR)) for i in source.images
    ]
    assert data.images.dtype == torch.uint8
    assert np.abs(data.images[:, 0].numpy().astype(int) - np.stack(expected)).max() <= 1


def test_images_that_are_not_square_are_not_squeezed():
    source = archive(height=10, width=14)
    with pytest.raises(MedtlError, match="10 x 14") as caught:
        DeviceDataset.from_archive(source, np.arange(3), "cpu", size=8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [slice(2, 7), torch.tensor([5, 0, 5])])
def test_inputs_are_normalised_per_channel_and_channels_last(index):
    source = archive(colour=True)
    x = DeviceDataset.from_archive(source, np.arange(source.n), "cpu").inputs(index, RGB)
    pixels = source.images[index.numpy() if isinstance(index, torch.Tensor) else index] / 255
    expected = ((pixels - np.array(RGB.mean)) / np.array(RGB.std)).transpose(0, 3, 1, 2)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-5)


def test_grey_images_become_three_equal_channels_before_normalisation():
    data = DeviceDataset.from_archive(archive(), np.arange(5), "cpu")
    x = data.inputs(slice(None), RGB)
    assert x.shape == (5, 3, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last)
    back = x * torch.tensor(RGB.std).view(1, 3, 1, 1) + torch.tensor(RGB.mean).view(1, 3, 1, 1)
    torch.testing.assert_close(back, (data.images / 255).expand(-1, 3, -1, -1))


def test_one_channel_is_given_where_one_is_asked_for():
    data = DeviceDataset.from_archive(archive(), np.arange(5), "cpu")
    x = data.inputs(slice(None), Normalisation((0.5,), (0.25,)), channels=1)
    torch.testing.assert_close(x, (data.images / 255 - 0.5) / 0.25)
    torch.testing.assert_close(data.inputs(slice(None), None, channels=1), data.images / 255)


def test_channels_that_do_not_fit_are_refused():
    colour = DeviceDataset.from_archive(archive(colour=True), np.arange(5), "cpu")
    with pytest.raises(MedtlError, match="3 channels, expected 1"):
        colour.inputs(slice(None), None, channels=1)
    with pytest.raises(MedtlError, match="3 channels, expected 1"):
        replicate_grey(colour.images)
    with pytest.raises(MedtlError, match="3 channels, but mean and std of 2"):
        normalise(colour.images.float(), Normalisation((0.5, 0.5), (1.0, 1.0)))


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.0,)), ((0.5, 0.5), (1.0,)), ((), ())])
def test_a_normalisation_that_cannot_be_is_refused(mean, std):
    with pytest.raises(MedtlError, match="normalisation"):
        Normalisation(mean, std)


def test_select_keeps_images_and_labels_together():
    data = DeviceDataset.from_archive(archive(), np.arange(12), "cpu")
    chosen = data.select(np.array([9, 1])).select(torch.tensor([1]))
    assert torch.equal(chosen.images, data.images[1:2])
    assert torch.equal(chosen.labels, data.labels[1:2])


def test_no_augmentation_is_the_identity():
    x = torch.rand(4, 3, 9, 7)
    assert torch.equal(augment_affine(x, generator()), x)


def test_flips_are_exact_and_half_of_the_images():
    x = torch.rand(400, 1, 6, 5)
    y = augment_affine(x, generator(), flip=True)
    flipped = (y == x.flip(-1)).flatten(1).all(1)
    assert torch.equal(flipped, ~(y == x).flatten(1).all(1))
    assert 150 < int(flipped.sum()) < 250


def test_resampling_equals_scipy_also_where_the_image_is_not_square():
    rng = np.random.default_rng(0)
    images = ndimage.gaussian_filter(rng.uniform(size=(3, 24, 32)), (0, 2, 2))
    angles, sizes = np.array([0.3, -1.1, 0.0]), np.array([1.2, 0.8, 1.0])
    shifts = np.array([[2.5, -1.0], [0.0, 4.0], [-3.0, 0.5]])  # x, y
    turns = (
        np.stack([[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in angles])
        / sizes[:, None, None]
    )
    matrices = torch.from_numpy(np.concatenate([turns, shifts[:, :, None]], axis=2))
    seen = resample(torch.from_numpy(images)[:, None], matrices)[:, 0].numpy()
    centre = np.array([11.5, 15.5])  # row, column
    for image, turn, shift, found in zip(images, turns, shifts, seen, strict=True):
        rows_first = turn[::-1, ::-1]
        offset = centre + shift[::-1] - rows_first @ centre
        expected = ndimage.affine_transform(image, rows_first, offset, order=1, mode="nearest")
        np.testing.assert_allclose(found, expected, atol=1e-6)


def centroid(x: torch.Tensor) -> torch.Tensor:
    weight = x[:, 0] / x[:, 0].sum((1, 2), keepdim=True)
    rows, columns = (torch.arange(s, dtype=x.dtype) - (s - 1) / 2 for s in x.shape[-2:])
    return torch.stack([(weight.sum(1) * columns).sum(1), (weight.sum(2) * rows).sum(1)], dim=1)


def blob(n: int, x: float, y: float) -> torch.Tensor:
    grid = torch.arange(64, dtype=torch.float64) - 31.5
    one = torch.exp(-((grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2) / 18)
    return one.expand(n, 1, 64, 64).clone()


def test_turns_reach_their_limit_and_not_further():
    moved = centroid(augment_affine(blob(300, 15, 0), generator(), degrees=20))
    angle = torch.rad2deg(torch.atan2(moved[:, 1], moved[:, 0]))
    torch.testing.assert_close(
        moved.norm(dim=1), torch.full((300,), 15.0, dtype=torch.float64), atol=0.1, rtol=0
    )
    assert 19 < angle.max() < 20.5
    assert -20.5 < angle.min() < -19


def test_shifts_and_sizes_reach_their_limits_and_not_further():
    shift = centroid(augment_affine(blob(300, 0, 0), generator(), translate=0.125))
    assert torch.all(shift.abs() < 8.1)
    assert torch.all(shift.abs().amax(0) > 7.5)
    radius = centroid(augment_affine(blob(300, 15, 0), generator(), scale=0.2)).norm(dim=1)
    assert 11.9 < radius.min() < 12.3
    assert 17.7 < radius.max() < 18.1


def test_each_image_has_its_own_draw_that_follows_the_generator():
    x = torch.rand(1, 3, 16, 16).expand(6, -1, -1, -1)
    limits = {"flip": True, "degrees": 10.0, "translate": 0.05, "scale": 0.1}
    first, second = (augment_affine(x, generator(4), **limits) for _ in range(2))
    assert torch.equal(first, second)
    assert len({image.numpy().tobytes() for image in first}) == 6


@pytest.mark.parametrize("wrong", [{"degrees": -1.0}, {"translate": 1.5}, {"scale": 1.0}])
def test_limits_out_of_range_are_refused(wrong):
    with pytest.raises(MedtlError, match="augment_affine"):
        augment_affine(torch.rand(1, 1, 4, 4), generator(), **wrong)
