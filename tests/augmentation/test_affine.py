"""Affine transforms against SciPy: known points, images that are not square, volumes, masks."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from medtl_core.augmentation.affine import AFFINE, rotation_matrices
from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.sampling import affine_grid, sample, sample_masks
from medtl_core.augmentation.transforms import transform
from medtl_core.data.tensors import resample

RNG = np.random.default_rng(0)
SMOOTH = ndimage.gaussian_filter(RNG.random((2, 20, 30)), (0, 1, 1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_scipy(image, matrix, order):
    """An image through a map of positions (x, y(, z)) from the centre, as SciPy resamples it."""
    turned = matrix.numpy().astype(float)
    linear, shift = turned[:-1, :-1][::-1, ::-1], turned[:-1, -1][::-1]
    centre = (np.array(image.shape) - 1) / 2
    return ndimage.affine_transform(
        image, linear, centre - linear @ centre + shift, order=order, mode="nearest"
    )


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("spatial", [(20, 30), (6, 20, 30)])
def test_images_and_masks_are_resampled_as_scipy_does(name, spatial):
    images = ndimage.gaussian_filter(RNG.random((3, *spatial)), (0, *[1] * len(spatial)))
    masks = RNG.integers(0, 5, (3, *spatial)).astype(np.uint8)
    matrices = AFFINE[name](3, spatial, 1.0, torch.zeros(1, dtype=torch.float64), generator(1))
    grid = affine_grid(matrices, spatial)
    warped = sample(torch.from_numpy(images)[:, None], grid)[:, 0].numpy()
    moved = sample_masks(torch.from_numpy(masks)[:, None], grid)[:, 0].numpy()
    for i in range(3):
        np.testing.assert_allclose(warped[i], by_scipy(images[i], matrices[i], 1), atol=1e-9)
        assert (moved[i] != by_scipy(masks[i], matrices[i], 0)).mean() < 0.002  # ties of rounding


def test_the_grid_agrees_with_the_resampling_of_the_data_room():
    matrices = rotation_matrices(torch.tensor([0.3, -1.0], dtype=torch.float64), 2)
    images = torch.from_numpy(SMOOTH)[:, None]
    found = sample(images, affine_grid(matrices, (20, 30)))
    torch.testing.assert_close(found, resample(images, matrices[:, :2]))


def test_a_quarter_turn_brings_the_right_edge_to_the_top():
    image = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    image[0, 0, 2, 4] = 1
    turned = sample(image, affine_grid(rotation_matrices(torch.tensor([math.pi / 2]).double(), 2), (5, 5)))
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[0, 2] = 1
    torch.testing.assert_close(turned[0, 0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_draws_fill_their_range_and_no_more(strength):
    n, like = 4000, torch.zeros(1, dtype=torch.float64)

    def drawn(name):
        return AFFINE[name](n, (40, 80), strength, like, generator())

    angles = torch.rad2deg(torch.atan2(drawn("rotation")[:, 1, 0], drawn("rotation")[:, 0, 0]))
    shifts = drawn("translation")[:, :2, 2]
    sizes = 1 / drawn("scale")[:, 0, 0]
    areas = drawn("crop")[:, 0, 0] * drawn("crop")[:, 1, 1]
    for values, low, high in (
        (angles, -30 * strength, 30 * strength),
        (shifts[:, 0], -8 * strength, 8 * strength),
        (shifts[:, 1], -4 * strength, 4 * strength),
        (sizes, 1 - 0.2 * strength, 1 + 0.2 * strength),
        (areas, 1 - 0.6 * strength, 1),
    ):
        assert low - 1e-9 <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high + 1e-9
        assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.05)
    mirrored = (drawn("flip")[:, 0, 0] < 0).double().mean()
    assert mirrored == pytest.approx(strength / 2, abs=0.03)


def test_a_crop_stays_inside_the_image():
    matrices = AFFINE["crop"](500, (40, 80), 1.0, torch.zeros(1, dtype=torch.float64), generator())
    for x, y in ((-40, -20), (40, 20)):
        seen = matrices @ torch.tensor([x, y, 1], dtype=torch.float64)
        assert seen[:, 0].abs().max() <= 40 + 1e-9
        assert seen[:, 1].abs().max() <= 20 + 1e-9


def test_neighbours_are_one_resampling_of_the_product(monkeypatch):
    from medtl_core.augmentation import policy as module

    grids = []
    monkeypatch.setattr(module, "sample", lambda x, grid: grids.append(grid) or sample(x, grid))
    policy = AugmentationPolicy(tuple(transform(name, 1.0) for name in ("rotation", "translation", "scale")))
    images = torch.from_numpy(SMOOTH)[:, None]
    found = policy(images, torch.ones(2, 1), generator=generator(3)).images
    assert len(grids) == 1
    again = generator(3)
    matrices = []
    for name in ("rotation", "translation", "scale"):
        torch.rand(2, generator=again)  # who takes part
        matrices.append(AFFINE[name](2, (20, 30), 1.0, images, again))
    for i in range(2):
        product = matrices[0][i] @ matrices[1][i] @ matrices[2][i]
        np.testing.assert_allclose(found[i, 0], by_scipy(SMOOTH[i], product, 1), atol=1e-9)


def test_the_order_is_that_of_the_policy():
    """Turned, then moved: the product of the maps in the policy's order, not the other way round."""
    image = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    image[0, 0, 10, 16] = 1
    turn = rotation_matrices(torch.tensor([math.pi / 2]).double(), 2)
    move = torch.eye(3, dtype=torch.float64)[None].clone()
    move[0, 0, 2] = -3  # content moves 3 to the right
    two_steps = sample(sample(image, affine_grid(turn, (21, 21))), affine_grid(move, (21, 21)))
    torch.testing.assert_close(sample(image, affine_grid(turn @ move, (21, 21))), two_steps)
    assert two_steps[0, 0, 4, 13] == pytest.approx(1)


def test_flips_alone_move_pixels_and_change_no_value():
    images, masks = torch.rand(64, 3, 6, 7), torch.randint(0, 9, (64, 1, 6, 7))
    policy = AugmentationPolicy((transform("flip", 1.0),))
    found = policy(images, torch.ones(64, 1), masks, generator=generator())
    mirrored = 0
    for i in range(64):
        side = not torch.equal(found.images[i], images[i])
        mirrored += side
        assert torch.equal(found.images[i], images[i].flip(-1) if side else images[i])
        assert torch.equal(found.masks[i], masks[i].flip(-1) if side else masks[i])
    assert 20 < mirrored < 44
