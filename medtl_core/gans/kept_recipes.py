"""How the kept generators were trained: small networks on phantoms of 32 px, and a film of what they drew."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.gans import loops, networks
from medtl_core.gans.phantom_pairs import paired_scanners, with_and_without_lesion

SIZE, SEED = 32, 7
CLASSES = ("smooth", "spiculated", "ring", "striped")

Made = tuple[nn.Module, dict[str, Tensor]]


def _grey(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).float()[:, None] / 255


def _filmed(
    rows: dict[str, Tensor], at: tuple[int, ...], picture: Callable[[loops.Snapshot], Tensor]
) -> loops.Watching:
    """Adds a picture (M, C, H, W) of each of the steps `at` to `rows`."""

    def look(snapshot: loops.Snapshot) -> None:
        if snapshot.step in at:
            rows[f"step {snapshot.step:,}"] = picture(snapshot)

    return loops.Watching(look, every=math.gcd(*at))


def dcgan_networks() -> tuple[networks.ConvolutionalGenerator, networks.ConvolutionalDiscriminator]:
    return (
        networks.ConvolutionalGenerator(size=SIZE, channels=1, seed=0, width=16, latent_dim=32),
        networks.ConvolutionalDiscriminator(size=SIZE, channels=1, seed=1, width=16),
    )


def train_dcgan() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE), SEED)
    generator, discriminator = dcgan_networks()
    rows: dict[str, Tensor] = {}
    config = loops.GANConfig(steps=3000, learning_rate=1e-3)
    watching = _filmed(rows, (50, 200, 800, 3000), lambda snapshot: snapshot.images["generated"][:8])
    done = loops.train_gan(generator, discriminator, _grey(archive.images), config, seed=0, watching=watching)
    return done.generator, rows


def acgan_generator() -> networks.ConditionalGenerator:
    return networks.ConditionalGenerator(
        size=SIZE, channels=1, classes=len(CLASSES), seed=0, width=16, latent_dim=32
    )


def train_acgan() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE, classes=CLASSES, lesion_texture=0.12), SEED)
    generator = acgan_generator()
    discriminator = networks.TwoHeadDiscriminator(
        size=SIZE, channels=1, classes=len(CLASSES), seed=1, width=16, dropout=0.3
    )
    config = loops.ACGANConfig(steps=4000, learning_rate=1e-3)
    images, labels = _grey(archive.images), torch.from_numpy(archive.labels)
    done = loops.train_acgan(generator, discriminator, images, labels, config, seed=0)
    rows = {}
    for k, name in enumerate(CLASSES):
        rows[name] = loops.sample(done.generator, 8, seed=1, labels=torch.full((8,), k))
    return done.generator, rows


def unet() -> networks.UNetGenerator:
    return networks.UNetGenerator(size=SIZE, inputs=1, outputs=1, seed=0, width=5)


def train_pix2pix() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE, images_per_patient=(1, 1)), SEED)
    assert archive.masks is not None
    masks, images = torch.from_numpy(archive.masks).float()[:, None], _grey(archive.images)
    discriminator = networks.PatchDiscriminator(channels=2, seed=1, layers=1, width=16)
    config = loops.Pix2PixConfig(steps=2000, batch_size=8, learning_rate=1e-3)
    done = loops.train_pix2pix(unet(), discriminator, masks[8:], images[8:], config, seed=0)
    rows = {
        "mask": masks[:8],
        "translation": loops.translate(done.generator, masks[:8]),
        "true image": images[:8],
    }
    return done.generator, rows


def _cycle_networks() -> loops.CycleGAN:
    g, f = (networks.ResNetGenerator(inputs=1, outputs=1, seed=k, width=6, blocks=2) for k in (0, 1))
    d_x, d_y = (
        networks.PatchDiscriminator(channels=1, seed=k, layers=1, width=16, norm="instance") for k in (2, 3)
    )
    return loops.CycleGAN(g, f, d_x, d_y)


def train_cyclegan() -> Made:
    x, y = (_grey(archive.images) for archive in paired_scanners(800, SIZE, SEED))
    config = loops.CycleConfig(steps=2500, learning_rate=1e-3)
    done = loops.train_cyclegan(_cycle_networks(), x[8:400], y[400:], config, seed=0)
    to_y = loops.translate(done.generator.g, x[:8])
    rows = {"x, scanner A": x[:8], "G(x)": to_y, "hidden partner of x": y[:8]}
    rows["round trip F(G(x))"] = loops.translate(done.generator.f, to_y)
    return nn.ModuleDict({"g": done.generator.g, "f": done.generator.f}), rows


def _attention_networks() -> loops.AttentionCycleGAN:
    plain = _cycle_networks()
    a_x, a_y = (networks.AttentionNetwork(channels=1, seed=k, width=6) for k in (4, 5))
    assert isinstance(plain.d_x, networks.PatchDiscriminator)
    assert isinstance(plain.d_y, networks.PatchDiscriminator)
    return loops.AttentionCycleGAN(plain.g, plain.f, plain.d_x, plain.d_y, a_x, a_y)


def train_attention() -> Made:
    archive = with_and_without_lesion(500, SIZE, SEED)
    assert archive.masks is not None
    images, masks = _grey(archive.images), torch.from_numpy(archive.masks).float()[:, None]
    config = loops.AttentionCycleConfig(steps=260, learning_rate=2e-3, mask_weight=10.0)
    both, with_lesion, without = _attention_networks(), images[500:508], images[:8]
    removed: dict[str, Tensor] = {"with lesion": with_lesion}
    added: dict[str, Tensor] = {"without lesion": without}
    maps: dict[str, Tensor] = {}

    @torch.no_grad()
    def look(snapshot: loops.Snapshot) -> None:
        if snapshot.step not in (20, 100, 260):
            return
        both.eval()
        (less, where), (more, place) = both.to_y(with_lesion * 2 - 1), both.to_x(without * 2 - 1)
        both.train()
        removed[f"removed, step {snapshot.step:,}"] = ((less + 1) / 2).clamp(0, 1)
        added[f"added, step {snapshot.step:,}"] = ((more + 1) / 2).clamp(0, 1)
        maps.update({"attention": where, "attention ": place})

    done = loops.train_attention_cyclegan(
        both,
        images[508:],
        images[8:500],
        config,
        seed=0,
        x_masks=masks[508:],
        watching=loops.Watching(look, 20),
    )
    parts = {name: getattr(done.generator, name) for name in ("g", "f", "a_x", "a_y")}
    removed["attention"], added["attention "] = maps["attention"], maps["attention "]
    return nn.ModuleDict(parts), removed | added


def two_ways() -> nn.Module:
    networks_ = _cycle_networks()
    return nn.ModuleDict({"g": networks_.g, "f": networks_.f})


def four_parts() -> nn.Module:
    networks_ = _attention_networks()
    return nn.ModuleDict({name: getattr(networks_, name) for name in ("g", "f", "a_x", "a_y")})
