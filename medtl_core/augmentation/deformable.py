"""Deformable transforms: elastic (Simard et al. 2003), free-form with B-splines (Rueckert et al. 1999).

A displacement has shape (N, d, *spatial), in pixels, components in the order x, y(, z): output pixel p shows
what was at `p + displacement(p)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medtl_core.augmentation.smoothing import along_axes, gaussian_matrices
from medtl_core.errors import MedtlError

# Simard et al. 2003 take sigma 4 and alpha 34 for digits of 28 x 28 pixels. Smoothed noise of an image has a
# standard deviation in proportion to 1 / sigma, so that alpha grows with the square of the size.
ELASTIC_SIGMA = 4 / 28
ELASTIC_ALPHA = 34 / 28**2
CONTROL_POINTS = 7  # along each axis, one of them beyond each border
BSPLINE_SPREAD = 0.3  # standard deviation of a control point's offset, as a share of their spacing
_SHRINK = 0.8


def elastic(
    n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """Uniform noise in every pixel, smoothed, times alpha (Simard et al. 2003), without folds.

    sigma is a seventh of the smaller side of a slice. At strength 1 displacements are, in relation to the
    size, those of the paper (alpha 34 for 28 pixels); they grow in proportion to `strength`. Outside the
    image the noise is 0, so that the border moves less than the middle.

    In volumes sigma across slices is at most a quarter of the depth. Displacements in the plane are as
    large as in images, and those across slices smaller by the ratio of the two sigmas.
    """
    side = min(spatial[-2:])
    sigmas = [ELASTIC_SIGMA * side] * len(spatial)
    if len(spatial) == 3:
        sigmas[0] = min(sigmas[0], spatial[0] / 4)
    noise = torch.rand(n, len(spatial), *spatial, generator=generator, device=generator.device)
    noise = noise.to(like.device, like.dtype).mul_(2).sub_(1)
    alpha = ELASTIC_ALPHA * strength * side**2
    matrices = [
        gaussian_matrices(size, like.new_tensor([sigma]), border="constant")
        for size, sigma in zip(spatial, sigmas, strict=True)
    ]
    if len(spatial) == 3:  # smoothing across slices shrinks the noise once more
        alpha /= float(matrices[0][0, spatial[0] // 2].square().sum().sqrt())
    amounts = like.new_tensor([alpha * sigma / sigmas[-1] for sigma in reversed(sigmas)])
    return without_folds(along_axes(noise, matrices) * amounts.view(-1, *[1] * len(spatial)))


def bspline(
    n: int, spatial: Sequence[int], strength: float, like: Tensor, generator: torch.Generator
) -> Tensor:
    """Offsets of a coarse grid of control points, interpolated by cubic B-splines, without folds.

    The grid has 7 points an axis; offsets are normal with a standard deviation of .3 of the points'
    spacing times `strength`.
    """
    shape = (n, len(spatial), *[CONTROL_POINTS] * len(spatial))
    offsets = torch.randn(shape, generator=generator, device=generator.device).to(like.device, like.dtype)
    spacings = like.new_tensor([(size - 1) / (CONTROL_POINTS - 3) for size in reversed(spatial)])
    offsets = offsets * (BSPLINE_SPREAD * strength * spacings.view(-1, *[1] * len(spatial)))
    return without_folds(bspline_displacement(offsets, spatial))


def bspline_displacement(offsets: Tensor, spatial: Sequence[int]) -> Tensor:
    """The displacement (N, d, *spatial) of control points' `offsets` (N, d, g, g(, g)), in pixels, g above 3.

    Rueckert et al. 1999, equation 3 (tensor product of cubic B-splines), as one matrix product an axis. The
    second and the last but one point of each axis lie on the first and the last pixel.
    """
    points = offsets.shape[-1]
    if points < 4:
        raise MedtlError(f"bspline: {points} control points an axis, expected at least 4")
    return along_axes(offsets, [_cubic_basis(size, points, offsets)[None] for size in spatial])


def _cubic_basis(size: int, points: int, like: Tensor) -> Tensor:
    """Values (size, points) of the uniform cubic B-splines at the pixels of one axis; each row sums to 1."""
    position = torch.linspace(1, points - 2, size, device=like.device, dtype=like.dtype)
    t = (position[:, None] - torch.arange(points, device=like.device, dtype=like.dtype)).abs()
    return torch.where(t < 1, (4 - 6 * t**2 + 3 * t**3) / 6, (2 - t).clamp_min(0) ** 3 / 6)


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """Determinant (N, *spatial) of the Jacobian of `p + displacement(p)`: local change of area or volume.

    By central differences, one-sided at the border. 1 keeps areas, and 0 or less means that the map folds.
    displacement: (N, d, *spatial) in pixels, components x, y(, z), at least 2 pixels along each axis.
    """
    dimensions = displacement.shape[1]
    gradients = torch.gradient(displacement, dim=list(range(2, 2 + dimensions)))
    # Component i along axis j; the spatial axes of a tensor run the other way round than x, y(, z).
    jacobian = torch.stack(gradients[::-1], dim=-1).movedim(1, -2)
    if dimensions == 2:
        (xx, xy), (yx, yy) = (row.unbind(-1) for row in jacobian.unbind(-2))
        return (1 + xx) * (1 + yy) - xy * yx
    one = torch.eye(dimensions, dtype=jacobian.dtype, device=jacobian.device)
    determinant: Tensor = torch.linalg.det(jacobian + one)
    return determinant


def without_folds(displacement: Tensor) -> Tensor:
    """The displacement, with each image's field shrunk by a fifth as often as its map still folds."""
    while True:
        folded = (jacobian_determinant(displacement) <= 0).flatten(1).any(1)
        if not folded.any():
            return displacement
        factors = torch.where(folded, _SHRINK, 1.0).to(displacement.dtype)
        displacement = displacement * factors.view(-1, *[1] * (displacement.ndim - 1))


Displacement = Callable[[int, Sequence[int], float, Tensor, torch.Generator], Tensor]
DEFORMABLE: dict[str, Displacement] = {"elastic": elastic, "bspline": bspline}
