"""Recipes of the kept generators that draw from noise: DCGAN, dense layers, ACGAN, a DCGAN for each class."""

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.data.phantoms.spec import PhantomSpec
from medtl_core.gans import loops, networks
from medtl_core.gans.kept_recipe import SEED, SIZE, Film, Recipe, filming, grey, look

CLASSES = ("smooth", "spiculated", "ring", "striped")
GAN_LOOKS = (50, 200, 800, 3000)
ACGAN_LOOKS = (50, 200, 1000, 4000)
SHOWN = 8  # columns of the film where there are no classes
SHOWN_OF_CLASS = 3  # columns of each class


def dcgan_generator() -> networks.ConvolutionalGenerator:
    return networks.ConvolutionalGenerator(size=SIZE, channels=1, seed=0, width=16, latent_dim=32)


def dense_generator() -> networks.MLPGenerator:
    return networks.MLPGenerator((1, SIZE, SIZE), seed=0, width=64, latent_dim=32)


def train_dcgan() -> tuple[nn.Module, Film]:
    discriminator = networks.ConvolutionalDiscriminator(size=SIZE, channels=1, seed=1, width=16)
    return _against(dcgan_generator(), discriminator)


def train_dense() -> tuple[nn.Module, Film]:
    return _against(dense_generator(), networks.MLPDiscriminator((1, SIZE, SIZE), seed=1, width=64))


def _against(generator: networks.LatentGenerator, discriminator: nn.Module) -> tuple[nn.Module, Film]:
    archive = draw(replace(SPECS["phantoms"], size=SIZE), SEED)
    film: Film = {}
    watching = filming(film, GAN_LOOKS, lambda snapshot: {"": snapshot.images["generated"][:SHOWN]})
    config = loops.GANConfig(steps=GAN_LOOKS[-1], learning_rate=1e-3)
    done = loops.train_gan(generator, discriminator, grey(archive.images), config, seed=0, watching=watching)
    return done.generator, film


def redraw_from_noise(generator: nn.Module, film: Film) -> Film:
    """The loop shows the first vectors of its seed, and so does `sample`."""
    assert isinstance(generator, networks.LatentGenerator)
    return {look(GAN_LOOKS[-1]): loops.sample(generator, 16, seed=0)[:SHOWN]}


def acgan_generator() -> networks.ConditionalGenerator:
    return networks.ConditionalGenerator(
        size=SIZE, channels=1, classes=len(CLASSES), seed=0, width=16, latent_dim=32
    )


def acgan_phantoms() -> PhantomSpec:
    """Four kinds of lesion that can be told apart at 32 px."""
    return replace(
        SPECS["phantoms"],
        n=4000,
        size=SIZE,
        classes=CLASSES,
        contrast=0.35,
        lesion_texture=0.2,
        lesion_radius=(0.30, 0.38),
    )


def train_acgan() -> tuple[nn.Module, Film]:
    archive = draw(acgan_phantoms(), SEED)
    discriminator = networks.TwoHeadDiscriminator(
        size=SIZE, channels=1, classes=len(CLASSES), seed=1, width=16, dropout=0.0
    )
    images, labels = grey(archive.images), torch.from_numpy(archive.labels)
    film: Film = {}

    def picture(snapshot: loops.Snapshot) -> Film:
        return {"": _side_by_side([snapshot.images[f"class {k}"] for k in range(len(CLASSES))])}

    config = loops.ACGANConfig(
        steps=ACGAN_LOOKS[-1], learning_rate=1e-3, made_class_weight=0.0, augmented=True
    )
    watching = filming(film, ACGAN_LOOKS, picture)
    done = loops.train_acgan(
        acgan_generator(), discriminator, images, labels, config, seed=0, watching=watching
    )
    film["real images"] = _side_by_side([images[labels == k] for k in range(len(CLASSES))])
    return done.generator, film


def redraw_acgan(generator: nn.Module, film: Film) -> Film:
    """The loop shows the same vectors in every class, the first of its seed."""
    assert isinstance(generator, networks.ConditionalGenerator)
    count = 4
    of_class = [
        loops.sample(generator, count, seed=0, labels=torch.full((count,), k)) for k in range(len(CLASSES))
    ]
    return {look(ACGAN_LOOKS[-1]): _side_by_side(of_class)}


def per_class_generators() -> nn.ModuleList:
    """A generator for each class, which together have about as many weights as the ACGAN."""
    return nn.ModuleList(_of_one_class(k)[0] for k in range(len(CLASSES)))


def _of_one_class(seed: int) -> tuple[networks.ConvolutionalGenerator, networks.ConvolutionalDiscriminator]:
    generator = networks.ConvolutionalGenerator(size=SIZE, channels=1, seed=seed, width=8, latent_dim=32)
    return generator, networks.ConvolutionalDiscriminator(size=SIZE, channels=1, seed=seed + 1, width=16)


def train_per_class() -> tuple[nn.Module, Film]:
    archive = draw(acgan_phantoms(), SEED)
    images, labels = grey(archive.images), torch.from_numpy(archive.labels)
    drawn: dict[int, list[Tensor]] = {step: [] for step in GAN_LOOKS}

    def add(_: int, snapshot: loops.Snapshot) -> None:
        if snapshot.step in drawn:
            drawn[snapshot.step].append(snapshot.images["generated"])

    done = loops.train_per_class(
        _of_one_class,
        images,
        labels,
        loops.GANConfig(steps=GAN_LOOKS[-1], learning_rate=1e-3, augmented=True),
        seed=0,
        on_snapshot=add,
        snapshot_every=math.gcd(*GAN_LOOKS),
    )
    film = {look(step): _side_by_side(of_class) for step, of_class in drawn.items()}
    film["real images"] = _side_by_side([images[labels == k] for k in range(len(CLASSES))])
    return nn.ModuleList(one.generator for one in done), film


def redraw_per_class(generators: nn.Module, film: Film) -> Film:
    """Each loop shows the first vectors of its own seed."""
    assert isinstance(generators, nn.ModuleList)
    of_class = [
        loops.sample(cast(networks.LatentGenerator, generator), 16, seed=own)
        for own, generator in zip(loops.seeds_of_classes(0, len(CLASSES)), generators, strict=True)
    ]
    return {look(GAN_LOOKS[-1]): _side_by_side(of_class)}


def _side_by_side(of_class: list[Tensor]) -> Tensor:
    return torch.cat([images[:SHOWN_OF_CLASS] for images in of_class])


FROM_NOISE = {
    "dcgan": Recipe(dcgan_generator, train_dcgan, GAN_LOOKS, redraw_from_noise),
    "dense": Recipe(dense_generator, train_dense, GAN_LOOKS, redraw_from_noise),
    "acgan": Recipe(acgan_generator, train_acgan, ACGAN_LOOKS, redraw_acgan, headings=CLASSES),
    "per_class": Recipe(per_class_generators, train_per_class, GAN_LOOKS, redraw_per_class, headings=CLASSES),
}
