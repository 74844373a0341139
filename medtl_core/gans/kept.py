"""A small trained generator of each family, on phantoms of 32 px, kept with the package.

`python -m medtl_core.gans.kept FAMILY` trains one (half a minute to two) and writes its file; `load` reads
it. Weights are kept as 16-bit floats.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medtl_core.data.phantoms.phantoms import SPECS, draw
from medtl_core.errors import MedtlError
from medtl_core.files import read_arrays, write_arrays
from medtl_core.gans import loops, networks
from medtl_core.gans.phantom_pairs import paired_scanners, with_and_without_lesion

SIZE, SEED = 32, 7
CLASSES = ("smooth", "spiculated", "ring", "striped")
FOLDER = Path(__file__).parent / "trained"


@dataclass(frozen=True)
class Kept:
    """A trained network in evaluation mode and its film: row names -> uint8 (M, C, H, W)."""

    network: nn.Module
    film: dict[str, NDArray[np.uint8]]


Made = tuple[nn.Module, dict[str, Tensor]]


def family_names() -> list[str]:
    """Names that `load` knows."""
    return list(FAMILIES)


def load(family: str) -> Kept:
    """The kept network of a family; MedtlError for another name and a damaged file."""
    _require(family)
    arrays = read_arrays(FOLDER / f"{family}.weights")
    weights = {name[7:]: torch.from_numpy(value) for name, value in arrays.items() if name[:7] == "weight:"}
    network = FAMILIES[family].build()
    own = network.state_dict()
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in weights.items()})
    film = {name[5:]: value for name, value in arrays.items() if name[:5] == "film:"}
    return Kept(network.eval(), film)


def make(family: str) -> None:
    """Train the network of a family and write its file."""
    _require(family)
    network, film = FAMILIES[family].train()
    arrays = {}
    for name, value in network.state_dict().items():
        arrays[f"weight:{name}"] = (value.half() if value.is_floating_point() else value).numpy()
    for name, images in film.items():
        arrays[f"film:{name}"] = (images * 255).round().to(torch.uint8).numpy()
    FOLDER.mkdir(exist_ok=True)
    write_arrays(FOLDER / f"{family}.weights", arrays)


@dataclass(frozen=True)
class _Family:
    build: Callable[[], nn.Module]
    train: Callable[[], Made]


def _require(family: str) -> None:
    if family not in FAMILIES:
        raise MedtlError(f"kept generator: found {family!r}, expected one of {', '.join(FAMILIES)}")


def _grey(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).float()[:, None] / 255


def _watch(rows: dict[str, Tensor], name: str, at: tuple[int, ...]) -> loops.Watching:
    """Adds the images `name` of a snapshot to `rows` at the steps `at`."""

    def look(snapshot: loops.Snapshot) -> None:
        if snapshot.step in at:
            rows[f"step {snapshot.step:,}"] = snapshot.images[name][:8]

    return loops.Watching(look, every=min(at))


def _dcgan_networks() -> tuple[networks.ConvolutionalGenerator, networks.ConvolutionalDiscriminator]:
    return (
        networks.ConvolutionalGenerator(size=SIZE, channels=1, seed=0, width=16, latent_dim=32),
        networks.ConvolutionalDiscriminator(size=SIZE, channels=1, seed=1, width=16),
    )


def _train_dcgan() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE), SEED)
    generator, discriminator = _dcgan_networks()
    rows: dict[str, Tensor] = {}
    config = loops.GANConfig(steps=3000, learning_rate=1e-3)
    watching = _watch(rows, "generated", (50, 200, 800, 3000))
    done = loops.train_gan(generator, discriminator, _grey(archive.images), config, seed=0, watching=watching)
    return done.generator, rows


def _acgan_generator() -> networks.ConditionalGenerator:
    return networks.ConditionalGenerator(
        size=SIZE, channels=1, classes=len(CLASSES), seed=0, width=16, latent_dim=32
    )


def _train_acgan() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE, classes=CLASSES, lesion_texture=0.12), SEED)
    generator = _acgan_generator()
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


def _unet() -> networks.UNetGenerator:
    return networks.UNetGenerator(size=SIZE, inputs=1, outputs=1, seed=0, width=5)


def _train_pix2pix() -> Made:
    archive = draw(replace(SPECS["phantoms"], size=SIZE, images_per_patient=(1, 1)), SEED)
    assert archive.masks is not None
    masks, images = torch.from_numpy(archive.masks).float()[:, None], _grey(archive.images)
    discriminator = networks.PatchDiscriminator(channels=2, seed=1, layers=1, width=16)
    config = loops.Pix2PixConfig(steps=2000, batch_size=8, learning_rate=1e-3)
    done = loops.train_pix2pix(_unet(), discriminator, masks[8:], images[8:], config, seed=0)
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


def _train_cyclegan() -> Made:
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


def _train_attention() -> Made:
    archive = with_and_without_lesion(500, SIZE, SEED)
    assert archive.masks is not None
    images, masks = _grey(archive.images), torch.from_numpy(archive.masks).float()[:, None]
    config = loops.AttentionCycleConfig(steps=260, learning_rate=2e-3, mask_weight=10.0)
    done = loops.train_attention_cyclegan(
        _attention_networks(), images[508:], images[8:500], config, seed=0, x_masks=masks[508:]
    )
    with torch.no_grad():
        removed, where = done.generator.to_y(images[500:508] * 2 - 1)
        added, place = done.generator.to_x(images[:8] * 2 - 1)
    rows = {"with lesion": images[500:508], "attention": where, "lesion removed": (removed + 1) / 2}
    rows |= {"without lesion": images[:8], "attention ": place, "lesion added": (added + 1) / 2}
    parts = {name: getattr(done.generator, name) for name in ("g", "f", "a_x", "a_y")}
    return nn.ModuleDict(parts), {name: value.clamp(0, 1) for name, value in rows.items()}


def _two_ways() -> nn.Module:
    networks_ = _cycle_networks()
    return nn.ModuleDict({"g": networks_.g, "f": networks_.f})


def _four_parts() -> nn.Module:
    networks_ = _attention_networks()
    return nn.ModuleDict({name: getattr(networks_, name) for name in ("g", "f", "a_x", "a_y")})


FAMILIES = {
    "dcgan": _Family(lambda: _dcgan_networks()[0], _train_dcgan),
    "acgan": _Family(_acgan_generator, _train_acgan),
    "pix2pix": _Family(_unet, _train_pix2pix),
    "cyclegan": _Family(_two_ways, _train_cyclegan),
    "attention_cyclegan": _Family(_four_parts, _train_attention),
}


def _main(families: list[str]) -> Iterator[str]:
    for family in families:
        started = time.process_time()
        make(family)
        size = (FOLDER / f"{family}.weights").stat().st_size / 1000
        yield f"{family}: {time.process_time() - started:.0f} s, {size:.0f} kB"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in _main(sys.argv[1:] or family_names()):
        print(line)
