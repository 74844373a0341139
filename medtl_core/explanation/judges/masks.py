"""Judges that know where the object is: pointing game and mass in mask."""

from __future__ import annotations

import torch
from scipy.ndimage import distance_transform_edt

from medtl_core.errors import MedtlError
from medtl_core.explanation.judges.judgement import Case, Judgement, masks_of


def pointing_game(case: Case, *, tolerance: float = 15 / 224) -> Judgement:
    """1 where the largest value lies on the mask or near it, else 0 (Zhang et al. 2018, section 4.2).

    Signed maps as they are. tolerance: distance to the mask as a share of the longer side; 15 px at 224 px
    are usual. Where several pixels share the largest value, the share of them that hit.
    """
    if not 0 <= tolerance < 1:
        raise MedtlError(f"pointing_game: tolerance is {tolerance}, expected a share from 0 to below 1")
    inside = masks_of(case, "pointing_game").cpu().numpy()
    reach = tolerance * max(case.x.shape[-2:])
    hits = []
    for values, mask in zip(case.explanation.maps.cpu().numpy(), inside, strict=True):
        near = distance_transform_edt(~mask) <= reach
        hits.append(float(near[values == values.max()].mean()))
    return Judgement("pointing_game", torch.tensor(hits, dtype=torch.float64), "higher", {"pixels": reach})


def mass_in_mask(case: Case) -> Judgement:
    """Share of a map's positive values that lies on the mask (relevance mass, Arras et al. 2022, eq. 1).

    Negative values are set to 0 and the rest is divided by its sum; a map without positive value has 0. For
    a map that is even over the image the share is that of the mask's area, which `details` gives.
    """
    inside = masks_of(case, "mass_in_mask")
    positive = case.explanation.maps.double().clamp(min=0)
    total = positive.sum((1, 2))
    share = (positive * inside).sum((1, 2)) / torch.where(total > 0, total, torch.ones_like(total))
    area = inside.double().mean((1, 2)).cpu()
    return Judgement("mass_in_mask", share.cpu(), "higher", {"mask_area": area})
