"""albumentations draws what a batch draws: moments of what both do to the same image."""

import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

from medtl_core.augmentation import AugmentationPolicy, albumentations_pipeline, transform
from medtl_core.augmentation.intensity import shift_brightness
from medtl_core.augmentation.per_image import _BUILDERS
from medtl_core.errors import MedtlError

SIZE = 48
ROWS, COLUMNS = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2


def policy(name, strength=1.0, probability=1.0):
    return AugmentationPolicy((transform(name, strength, probability),))


def in_batch(image, p, n):
    images = torch.from_numpy(image).double()[None, None].repeat(n, 1, 1, 1) / 255
    found = p(images, torch.ones(n, 1), generator=torch.Generator().manual_seed(0)).images
    return found[:, 0].numpy()


def per_image(image, p, n):
    pipeline = albumentations_pipeline(p, seed=0)
    return np.stack([pipeline(image)[0] for _ in range(n)]).astype(float) / 255


def blob(x=6.0, y=3.0):
    """A bright blob beside the middle: its centre and width tell turn, shift and size."""
    spot = np.exp(-((COLUMNS - x) ** 2 / 50 + (ROWS - y) ** 2 / 18))
    return np.rint(230 * spot).astype(np.uint8)


def features(images):
    """Centre, angle of the long axis, width and mean of a blob in each image."""
    total = images.sum((1, 2))
    x, y = ((images * axis).sum((1, 2)) / total for axis in (COLUMNS, ROWS))
    dx, dy = COLUMNS - x[:, None, None], ROWS - y[:, None, None]
    xx, yy, xy = ((images * m).sum((1, 2)) / total for m in (dx * dx, dy * dy, dx * dy))
    return {
        "x": x,
        "y": y,
        "angle": np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2),
        "width": np.sqrt(xx + yy),
        "mean": images.mean((1, 2)),
    }


@pytest.mark.parametrize("name", ["flip", "rotation", "scale", "translation", "crop", "elastic"])
@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_geometry_has_the_same_distribution(name, probability):
    image, p = blob(), policy(name, 0.8, probability)
    if name == "elastic":
        image = blob(0, 0)  # near the border the noise of albumentations is rougher
    batch, single = features(in_batch(image, p, 600)), features(per_image(image, p, 600))
    for feature, expected in batch.items():
        spread, found = expected.std(), single[feature]
        rough = name == "elastic" and feature == "width"
        assert found.mean() == pytest.approx(expected.mean(), abs=(0.4 if rough else 0.25) * spread + 0.05), (
            feature
        )
        tolerance = 0.5 if feature == "angle" else 0.05
        assert found.std() == pytest.approx(spread, rel=0.4 if rough else 0.2, abs=tolerance), feature


@pytest.mark.parametrize("name", ["gaussian_noise", "blur", "intensity", "gamma", "contrast"])
def test_grey_values_have_the_same_distribution(name):
    waves = 0.5 + 0.08 * np.sin(COLUMNS * 0.9) + 0.08 * np.sin(ROWS * 1.3)
    image, p = np.rint(255 * waves).astype(np.uint8), policy(name, 0.6)
    batch, single = in_batch(image, p, 400), per_image(image, p, 400)
    for statistic in (
        lambda x: x.mean((1, 2)),
        lambda x: x.std((1, 2)),
        lambda x: np.diff(x, axis=2).std((1, 2)),
    ):
        a, b = statistic(batch), statistic(single)
        assert b.mean() == pytest.approx(a.mean(), abs=0.25 * a.std() + 0.003)
        assert b.std() == pytest.approx(a.std(), rel=0.15, abs=0.002)


def test_flips_are_exact():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    pipeline = albumentations_pipeline(policy("flip"))
    sides = [pipeline(image, image) for _ in range(100)]
    mirrored = [not np.array_equal(found, image) for found, _ in sides]
    for (found, mask), side in zip(sides, mirrored, strict=True):
        assert np.array_equal(found, image[:, ::-1] if side else image)
        assert np.array_equal(found, mask)
    assert 30 < sum(mirrored) < 70


@pytest.mark.parametrize("name", ["gamma", "intensity"])
def test_powers_and_shifts_are_exact(name):
    """The value that albumentations drew, recovered from one pixel, explains all the others."""
    image = np.arange(30, 180, dtype=np.uint8).reshape(10, 15)
    found = albumentations_pipeline(policy(name, 0.4))(image)[0].astype(float)
    x = torch.from_numpy(image / 255)
    if name == "gamma":
        exponent = np.log(found[5, 5] / 255) / np.log(image[5, 5] / 255)
        expected = x**exponent
    else:
        expected = shift_brightness(x, (found[5, 5] - image[5, 5]) / 255)
    assert np.abs(expected.numpy() * 255 - found).max() <= 1.5
    assert not np.array_equal(found, image)


def test_masks_follow_and_take_no_new_value():
    mask = np.where(blob() > 100, 200, 7).astype(np.uint8)
    pipeline = albumentations_pipeline(
        AugmentationPolicy(tuple(transform(name, 0.8) for name in ("rotation", "elastic", "gaussian_noise")))
    )
    image, moved = pipeline(blob(), mask)
    assert set(np.unique(moved)) == {7, 200}
    assert ((ndimage.gaussian_filter(image.astype(float), 1) > 95) == (moved == 200)).mean() > 0.95


def test_the_seed_decides_and_every_image_has_its_own_draw():
    image, p = blob(), policy("rotation")
    first, again, other = (albumentations_pipeline(p, seed) for seed in (1, 1, 2))
    found = [first(image)[0] for _ in range(3)]
    for image_found in found:
        assert np.array_equal(image_found, again(image)[0])
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], other(image)[0])


@pytest.mark.parametrize("name", _BUILDERS)
def test_strength_0_is_the_identity(name):
    assert np.array_equal(albumentations_pipeline(policy(name, 0.0))(blob())[0], blob())


def test_what_albumentations_lacks_is_refused_by_name():
    for name in ("speckle_noise", "poisson_noise", "bspline", "mixup", "cutmix", "cutout", "patch_swap"):
        with pytest.raises(MedtlError, match=f"it has no {name}, expected some of flip"):
            albumentations_pipeline(policy(name))
    with pytest.raises(MedtlError, match=r"image float64 \(4, 4\), expected uint8"):
        albumentations_pipeline(policy("flip"))(np.zeros((4, 4)))


def test_without_albumentations_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(MedtlError, match=r"medtl\[augmentation\]"):
        albumentations_pipeline(policy("flip"))
