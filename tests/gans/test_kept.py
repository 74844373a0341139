"""The kept generators: each loads, works, and makes images like those it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medtl_core import backbones, training
from medtl_core.data import DeviceDataset
from medtl_core.data.phantoms import SPECS, draw
from medtl_core.errors import MedtlError
from medtl_core.gans import kept
from medtl_core.gans.kept_from_noise import CLASSES, acgan_phantoms
from medtl_core.gans.loops import sample, translate
from medtl_core.gans.quality import oracle_agreement


@pytest.mark.parametrize("family", kept.family_names())
def test_each_file_fits_its_network_and_is_small(family):
    loaded = kept.load(family)
    assert not loaded.network.training
    assert all(torch.isfinite(value).all() for value in loaded.network.state_dict().values())
    assert all(images.dtype == np.uint8 for images in loaded.film.values())
    assert (kept.FOLDER / f"{family}.weights").stat().st_size < 300_000


@pytest.mark.parametrize("family", kept.family_names())
def test_film_and_recipe_belong_together(family):
    recipe, loaded = kept.FAMILIES[family], kept.load(family)
    assert len(recipe.looks) >= 4
    assert list(recipe.looks) == sorted(set(recipe.looks))
    steps = sorted({int(name.split("step ")[1].replace(",", "")) for name in loaded.film if "step" in name})
    assert steps == list(recipe.looks)
    shape = next(iter(loaded.film.values())).shape
    assert shape[1:] == (1, 32, 32)
    assert all(images.shape == shape for images in loaded.film.values())
    assert loaded.headings == recipe.headings
    assert shape[0] % max(1, len(loaded.headings)) == 0


@pytest.mark.parametrize("family", kept.family_names())
def test_the_film_shows_training_and_ends_with_what_the_network_makes(family):
    recipe, loaded = kept.FAMILIES[family], kept.load(family)
    film = {name: torch.from_numpy(images).float() / 255 for name, images in loaded.film.items()}
    with torch.no_grad():
        last = recipe.redraw(loaded.network, film)
    assert last
    for name, images in last.items():
        assert (images - film[name]).abs().mean() < 0.005  # weights are kept as 16-bit floats
    for name, images in film.items():
        first = f"step {recipe.looks[0]:,}"
        if first in name:
            end = film[name.replace(first, f"step {recipe.looks[-1]:,}")]
            assert (images - end).abs().mean() > 0.01


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
    last = f"G(x), step {kept.FAMILIES['cyclegan'].looks[-1]:,}"
    x, made, partner = film["x, scanner A"], film[last], film["hidden partner of x"]
    assert (made - partner).abs().mean() < 0.6 * (x - partner).abs().mean()


def test_the_attention_guided_generator_removes_lesions_and_adds_some():
    film = {
        name: torch.from_numpy(images).float() / 255
        for name, images in kept.load("attention_cyclegan").film.items()
    }
    last = kept.FAMILIES["attention_cyclegan"].looks[-1]
    for given, made, where, sign in (
        ("with lesion", f"removed, step {last}", "map of removal", -1),
        ("without lesion", f"added, step {last}", "map of addition", 1),
    ):
        change = sign * (film[made] - film[given])
        inside = film[where] > 0.5
        assert inside.flatten(1).any(1).all()
        assert change[inside].mean() > 0.2
        assert change[film[where] < 0.05].abs().mean() < 0.01


def drawn_by(family: str, each: int) -> torch.Tensor:
    """Images of a family of labelled images, `each` of every class, one class after another."""
    network = kept.load(family).network
    if family == "per_class":
        return torch.cat([sample(one, each, seed=3) for one in network])
    return sample(
        network, each * len(CLASSES), seed=3, labels=torch.arange(len(CLASSES)).repeat_interleave(each)
    )


@pytest.mark.slow
def test_an_oracle_sees_the_classes_that_were_asked_for():
    archive = draw(replace(acgan_phantoms(), n=4500), 1)
    train, held = (
        DeviceDataset.from_archive(archive, index, torch.device("cpu"), size=32)
        for index in (np.arange(4000), np.arange(4000, 4500))
    )
    model = backbones.small_cnn(num_classes=len(CLASSES), seed=0)
    config = training.FitConfig(epochs=15, batch_size=32, learning_rate=0.002, augment=True)
    training.fit(model.network, training.policies.FULL, train, held, model.normalisation, config, seed=0)
    of_held = training.predict(model.network, held, model.normalisation)
    wanted = torch.arange(len(CLASSES)).repeat_interleave(50)
    for family in ("acgan", "per_class"):
        stored = DeviceDataset((drawn_by(family, 50) * 255).round().to(torch.uint8), wanted)
        of_made = training.predict(model.network, stored, model.normalisation)
        found = oracle_agreement(wanted.numpy(), of_made, held.labels.numpy(), of_held)
        assert found.real_overall > 0.85
        assert found.overall > 0.8, family
        assert found.by_class.min() > 0.6, family
