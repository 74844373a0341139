"""Deformations against SciPy's smoothing and splines, and the Jacobian against known fields."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import BSpline

from medtl_core.augmentation import deformable
from medtl_core.augmentation.deformable import (
    DEFORMABLE,
    bspline_displacement,
    jacobian_determinant,
    without_folds,
)
from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.sampling import displacement_grid, sample
from medtl_core.augmentation.smoothing import along_axes, gaussian_matrices
from medtl_core.augmentation.transforms import transform
from medtl_core.errors import MedtlError

LIKE = torch.zeros(1, dtype=torch.float64)
RNG = np.random.default_rng(0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("border", ["constant", "nearest"])
def test_smoothing_is_that_of_scipy(border):
    noise = RNG.standard_normal((2, 3, 24, 30))
    matrices = [gaussian_matrices(size, torch.tensor([4.0]).double(), border=border) for size in (24, 30)]
    found = along_axes(torch.from_numpy(noise), matrices).numpy()
    expected = ndimage.gaussian_filter(noise, (0, 0, 4, 4), mode=border, truncate=4)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_smoothing_of_volumes_is_that_of_scipy():
    noise = RNG.standard_normal((2, 3, 7, 12, 15))
    sigmas = (1.5, 2.0, 3.0)
    matrices = [
        gaussian_matrices(size, torch.tensor([s]).double(), border="constant")
        for size, s in zip((7, 12, 15), sigmas, strict=True)
    ]
    expected = ndimage.gaussian_filter(noise, (0, 0, *sigmas), mode="constant", truncate=4)
    np.testing.assert_allclose(along_axes(torch.from_numpy(noise), matrices).numpy(), expected, atol=1e-12)


def test_elastic_is_smoothed_uniform_noise_times_alpha(monkeypatch):
    monkeypatch.setattr(deformable, "without_folds", lambda field: field)
    found = DEFORMABLE["elastic"](2, (28, 28), 1.0, LIKE, generator(5)).numpy()
    noise = 2 * torch.rand(2, 2, 28, 28, generator=generator(5)).double().numpy() - 1
    expected = 34 * ndimage.gaussian_filter(noise, (0, 0, 4, 4), mode="constant")  # Simard et al. 2003
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("size", [28, 56])
def test_elastic_displacements_grow_with_the_image(size):
    field = DEFORMABLE["elastic"](200, (size, size), 0.5, LIKE, generator())
    middle = field[:, :, size // 2, size // 2] / size
    # Variance of uniform noise 1/3; smoothing in the plane leaves 1 / (4 pi sigma^2) of it.
    expected = 0.5 * 34 / 28 * np.sqrt(1 / 3 / (4 * np.pi * 16))
    assert middle.std() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("points", "size"), [(7, 28), (5, 33)])
def test_bspline_is_that_of_scipy(points, size):
    offsets = RNG.standard_normal((1, 2, points, points))
    found = bspline_displacement(torch.from_numpy(offsets), (size, size + 9))[0].numpy()

    def basis(pixels):
        # Control point i is the middle of the i-th cubic B-spline over whole knots.
        knots = np.arange(-2, points + 2)
        return BSpline(knots, np.eye(points), 3)(np.linspace(1, points - 2, pixels))

    for axis in range(2):
        expected = basis(size) @ offsets[0, axis] @ basis(size + 9).T
        np.testing.assert_allclose(found[axis], expected, atol=1e-12)


def test_equal_offsets_of_all_control_points_move_the_image_as_a_whole():
    field = bspline_displacement(torch.full((1, 3, 7, 7, 7), 2.5).double(), (6, 11, 13))
    torch.testing.assert_close(field, torch.full((1, 3, 6, 11, 13), 2.5).double())


def test_too_few_control_points_are_refused():
    with pytest.raises(MedtlError, match="3 control points an axis, expected at least 4"):
        bspline_displacement(torch.zeros(1, 2, 3, 3), (8, 8))


def test_jacobian_of_a_linear_field_is_its_determinant():
    linear = torch.tensor([[0.2, -0.4], [0.1, 0.3]]).double()
    y, x = torch.meshgrid(torch.arange(9).double(), torch.arange(12).double(), indexing="ij")
    field = torch.einsum("ij,jhw->ihw", linear, torch.stack([x, y]))[None]
    expected = torch.linalg.det(torch.eye(2) + linear)
    torch.testing.assert_close(jacobian_determinant(field), expected.expand(1, 9, 12))


def test_jacobian_of_a_linear_field_of_volumes_is_its_determinant():
    linear = torch.tensor([[0.2, -0.4, 0.3], [0.1, 0.3, -0.2], [0.5, 0.1, -0.1]]).double()
    z, y, x = torch.meshgrid(*(torch.arange(n).double() for n in (4, 5, 6)), indexing="ij")
    field = torch.einsum("ij,jdhw->idhw", linear, torch.stack([x, y, z]))[None]
    expected = torch.linalg.det(torch.eye(3) + linear)
    torch.testing.assert_close(jacobian_determinant(field), expected.expand(1, 4, 5, 6))


def test_jacobian_of_a_wave_is_that_on_paper():
    """u_x = a sin(k x) cos(k y), u_y = 0: the determinant is 1 + a k cos(k x) cos(k y)."""
    amplitude, k = 3.0, 2 * np.pi / 64
    y, x = np.mgrid[:64, :64].astype(float)
    wave = torch.from_numpy(amplitude * np.sin(k * x) * np.cos(k * y))
    found = jacobian_determinant(torch.stack([wave, torch.zeros_like(wave)])[None])[0].numpy()
    expected = 1 + amplitude * k * np.cos(k * x) * np.cos(k * y)
    assert np.abs(found - expected)[1:-1, 1:-1].max() < 1e-3
    across = jacobian_determinant(torch.stack([torch.zeros_like(wave), wave])[None])[0].numpy()
    expected = 1 - amplitude * k * np.sin(k * x) * np.sin(k * y)
    assert np.abs(across - expected)[1:-1, 1:-1].max() < 1e-3


def test_a_field_that_folds_is_shrunk_and_others_stay():
    x = torch.arange(32).double().expand(32, 32)
    folding, mild = -1.5 * x, -0.5 * x
    fields = torch.stack([torch.stack([u, torch.zeros_like(u)]) for u in (folding, mild)])
    assert jacobian_determinant(fields)[0].max() < 0
    found = without_folds(fields)
    assert jacobian_determinant(found).min() > 0
    torch.testing.assert_close(found[0], fields[0] * 0.8**2)
    assert torch.equal(found[1], fields[1])


@pytest.mark.parametrize("name", DEFORMABLE)
@pytest.mark.parametrize("spatial", [(28, 28), (40, 64), (8, 24, 24)])
def test_the_default_strength_has_no_folds_and_the_strongest_has_them_taken_out(monkeypatch, name, spatial):
    strongest = DEFORMABLE[name](60, spatial, 1.0, LIKE, generator())
    assert jacobian_determinant(strongest).min() > 0
    monkeypatch.setattr(deformable, "without_folds", lambda field: field)
    assert jacobian_determinant(DEFORMABLE[name](200, spatial, 0.5, LIKE, generator())).min() > 0


@pytest.mark.parametrize("spatial", [(16, 20), (5, 16, 20)])
def test_output_pixel_p_shows_what_was_at_p_plus_displacement(spatial):
    image = ndimage.gaussian_filter(RNG.random(spatial), 1)
    field = RNG.uniform(-2, 2, (len(spatial), *spatial))
    found = sample(torch.from_numpy(image)[None, None], displacement_grid(torch.from_numpy(field)[None]))
    positions = np.indices(spatial) + field[::-1]
    expected = ndimage.map_coordinates(image, positions, order=1, mode="nearest")
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("name", ["elastic", "bspline", "rotation", "crop"])
@pytest.mark.parametrize("spatial", [(48, 48), (6, 32, 32)])
def test_a_mask_follows_its_image(name, spatial):
    """An image that is its own mask: after the warp the two agree but on the half-covered edge."""
    middle = [(size - 1) / 2 for size in spatial]
    square = sum(((np.indices(spatial)[i] - m) / (0.6 * m)) ** 2 for i, m in enumerate(middle)) < 1
    masks = torch.from_numpy(square)[None, None].repeat(8, *[1] * (len(spatial) + 1))
    policy = AugmentationPolicy((transform(name, 1.0),))
    found = policy(masks.double(), torch.ones(8, 1), masks, generator=generator(2))
    assert found.masks.dtype == torch.bool
    agree = (found.images > 0.5) == found.masks
    assert agree.double().mean() > 0.985
    assert not torch.equal(found.masks, masks)
