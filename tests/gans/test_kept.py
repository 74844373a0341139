"""The kept generators: each loads, works, and makes images like those it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medtl_core.data.phantoms import SPECS, draw
from medtl_core.errors import MedtlError
from medtl_core.gans import kept
from medtl_core.gans.loops import sample, translate


@pytest.mark.parametrize("family", kept.family_names())
def test_each_file_fits_its_network_and_is_small(family):
    loaded = kept.load(family)
    assert not loaded.network.training
    assert all(torch.isfinite(value).all() for value in loaded.network.state_dict().values())
    assert all(images.dtype == np.uint8 for images in loaded.film.values())
    assert (kept.FOLDER / f"{family}.weights").stat().st_size < 300_000


@pytest.mark.parametrize("family", ["dcgan", "attention_cyclegan"])
def test_the_film_shows_training_and_ends_with_what_the_network_makes(family):
    loaded = kept.load(family)
    steps = [name for name in loaded.film if "step" in name]
    assert len(steps) >= 3
    if family == "attention_cyclegan":
        x = torch.from_numpy(loaded.film["with lesion"]).float() / 127.5 - 1
        with torch.no_grad():
            where = loaded.network["a_x"](x)
            last = where * loaded.network["g"](x) + (1 - where) * x
        shown = torch.from_numpy(loaded.film["removed, step 260"]).float() / 127.5 - 1
        assert (last - shown).abs().mean() < 0.01
        first = torch.from_numpy(loaded.film["removed, step 20"]).float() / 127.5 - 1
        assert (last - first).abs().mean() > 0.02


def test_another_family_is_one_line():
    with pytest.raises(MedtlError, match="expected one of dcgan"):
        kept.load("diffusion")


def test_the_dcgan_draws_the_mean_and_the_spread_of_phantoms():
    made = sample(kept.load("dcgan").network, 200, seed=0)
    real = torch.from_numpy(draw(replace(SPECS["phantoms"], n=200, size=32), 1).images).float()[:, None] / 255
    assert (made.mean(0) - real.mean(0)).abs().mean() < 0.04
    assert 0.5 < made.std(0).mean() / real.std(0).mean() < 1.5


def test_pix2pix_puts_the_lesion_where_the_mask_is():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:18, 8:16] = 1
    made = translate(kept.load("pix2pix").network, torch.cat([mask, mask.flip(-1)]))
    left, right = made[..., 10:18, 8:16].mean((1, 2, 3)), made[..., 10:18, 16:24].mean((1, 2, 3))
    assert left[0] > right[0]
    assert right[1] > left[1]


def test_cyclegan_comes_nearer_to_the_hidden_partner():
    film = {name: torch.from_numpy(images).float() for name, images in kept.load("cyclegan").film.items()}
    x, made, partner = film["x, scanner A"], film["G(x)"], film["hidden partner of x"]
    assert (made - partner).abs().mean() < 0.6 * (x - partner).abs().mean()
