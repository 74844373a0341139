"""Recipes of the kept image-to-image generators: Pix2Pix and both CycleGANs, on phantoms of 32 px."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.gans import loops, networks
from medtl_core.gans.cyclegan_networks import cycle_networks
from medtl_core.gans.kept_recipe import SEED, SIZE, Film, Recipe, filming, grey, look
from medtl_core.gans.phantom_pairs import paired_scanners, with_and_without_lesion
from medtl_core.training.prediction import evaluation_mode

SHOWN = 8  # held-out images in a film
PIX2PIX_LOOKS = (20, 100, 500, 2000)
CYCLE_LOOKS = (50, 200, 600, 2500)
ATTENTION_LOOKS = (50, 200, 640, 800)
FROZEN_AFTER = 640  # steps of the attention
LARGE_LESIONS = (0.30, 0.38)


def unet() -> networks.UNetGenerator:
    return networks.UNetGenerator(size=SIZE, inputs=1, outputs=1, seed=0, width=5)


def train_pix2pix() -> tuple[nn.Module, Film]:
    archive = draw(replace(SPECS["phantoms"], size=SIZE, images_per_patient=(1, 1)), SEED)
    assert archive.masks is not None
    masks, images = torch.from_numpy(archive.masks).float()[:, None], grey(archive.images)
    generator = unet()
    discriminator = networks.PatchDiscriminator(channels=2, seed=1, layers=1, width=16)
    film = {"mask": masks[:SHOWN]}
    config = loops.Pix2PixConfig(steps=PIX2PIX_LOOKS[-1], batch_size=8, learning_rate=1e-3)
    watching = filming(film, PIX2PIX_LOOKS, lambda _: {"": _translated(generator, masks[:SHOWN])})
    done = loops.train_pix2pix(
        generator, discriminator, masks[SHOWN:], images[SHOWN:], config, seed=0, watching=watching
    )
    film["true image"] = images[:SHOWN]
    return done.generator, film


def redraw_pix2pix(generator: nn.Module, film: Film) -> Film:
    return {look(PIX2PIX_LOOKS[-1]): _translated(generator, film["mask"])}


def _cycle_networks() -> loops.CycleGAN:
    return cycle_networks(1, seed=0, width=6, layers=1)


def two_ways() -> nn.Module:
    both = _cycle_networks()
    return nn.ModuleDict({"g": both.g, "f": both.f})


def train_cyclegan() -> tuple[nn.Module, Film]:
    x, y = (grey(archive.images) for archive in paired_scanners(800, SIZE, SEED))
    both = _cycle_networks()
    film = {"x, scanner A": x[:SHOWN]}
    config = loops.CycleConfig(steps=CYCLE_LOOKS[-1], learning_rate=1e-3)
    watching = filming(film, CYCLE_LOOKS, lambda _: {"G(x)": _translated(both.g, x[:SHOWN])})
    done = loops.train_cyclegan(both, x[SHOWN:400], y[400:], config, seed=0, watching=watching)
    film["hidden partner of x"] = y[:SHOWN]
    kept = nn.ModuleDict({"g": done.generator.g, "f": done.generator.f})
    return kept, film | {"round trip F(G(x))": _round_trip(kept, film)}


def redraw_cyclegan(kept: nn.Module, film: Film) -> Film:
    assert isinstance(kept, nn.ModuleDict)
    last = _translated(kept["g"], film["x, scanner A"])
    return {look(CYCLE_LOOKS[-1], "G(x)"): last, "round trip F(G(x))": _round_trip(kept, film)}


def _round_trip(kept: nn.ModuleDict, film: Film) -> Tensor:
    return _translated(kept["f"], _translated(kept["g"], film["x, scanner A"]))


def _attention_networks() -> loops.AttentionCycleGAN:
    plain = _cycle_networks()
    a_x, a_y = (networks.AttentionNetwork(channels=1, seed=k, width=6) for k in (4, 5))
    assert isinstance(plain.d_x, networks.PatchDiscriminator)
    assert isinstance(plain.d_y, networks.PatchDiscriminator)
    return loops.AttentionCycleGAN(plain.g, plain.f, plain.d_x, plain.d_y, a_x, a_y)


def four_parts() -> nn.Module:
    return _parts(_attention_networks())


def train_attention() -> tuple[nn.Module, Film]:
    archive = with_and_without_lesion(500, SIZE, SEED, LARGE_LESIONS)
    assert archive.masks is not None
    images, masks = grey(archive.images), torch.from_numpy(archive.masks).float()[:, None]
    without, with_lesion = images[:SHOWN], images[500 : 500 + SHOWN]
    steps = ATTENTION_LOOKS[-1]
    config = loops.AttentionCycleConfig(
        steps=steps,
        learning_rate=1e-3,
        cycle_weight=2.0,  # below the paper's 10: the cheapest round trip adds nothing
        mask_weight=10.0,
        switch_at=FROZEN_AFTER / steps,
    )
    both = _attention_networks()
    kept, drawn = _parts(both), Film()
    watching = filming(drawn, ATTENTION_LOOKS, lambda _: _moved(kept, with_lesion, without))
    loops.train_attention_cyclegan(
        both,
        images[500 + SHOWN :],
        images[SHOWN:500],
        config,
        seed=0,
        x_masks=masks[500 + SHOWN :],
        watching=watching,
    )
    film = {"with lesion": with_lesion}
    film |= {look(step, "removed"): drawn[look(step, "removed")] for step in ATTENTION_LOOKS}
    film |= {"map of removal": drawn[look(steps, "map of removal")]}
    film |= {"without lesion": without}
    film |= {look(step, "added"): drawn[look(step, "added")] for step in ATTENTION_LOOKS}
    film |= {"map of addition": drawn[look(steps, "map of addition")]}
    return kept, film


def redraw_attention(kept: nn.Module, film: Film) -> Film:
    assert isinstance(kept, nn.ModuleDict)
    moved = _moved(kept, film["with lesion"], film["without lesion"])
    last = ATTENTION_LOOKS[-1]
    return {name if name[:3] == "map" else look(last, name): images for name, images in moved.items()}


def _moved(kept: nn.ModuleDict, with_lesion: Tensor, without: Tensor) -> Film:
    """Translations both ways with their attention maps, all in 0 to 1."""
    rows: Film = {}
    ways = (("removed", "removal", "g", "a_x", with_lesion), ("added", "addition", "f", "a_y", without))
    with evaluation_mode(kept):
        for what, doing, g, a, images in ways:
            x = images * 2 - 1
            where = kept[a](x)
            made = where * kept[g](x) + (1 - where) * x
            rows |= {what: ((made + 1) / 2).clamp(0, 1), f"map of {doing}": where}
    return rows


def _parts(both: loops.AttentionCycleGAN) -> nn.ModuleDict:
    return nn.ModuleDict({"g": both.g, "f": both.f, "a_x": both.a_x, "a_y": both.a_y})


def _translated(generator: nn.Module, images: Tensor) -> Tensor:
    with evaluation_mode(generator):
        made: Tensor = loops.translate(generator, images)
    return made


TRANSLATORS = {
    "pix2pix": Recipe(unet, train_pix2pix, PIX2PIX_LOOKS, redraw_pix2pix),
    "cyclegan": Recipe(two_ways, train_cyclegan, CYCLE_LOOKS, redraw_cyclegan),
    "attention_cyclegan": Recipe(four_parts, train_attention, ATTENTION_LOOKS, redraw_attention),
}
