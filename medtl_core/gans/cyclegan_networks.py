"""The four networks of a CycleGAN, at a size that two cores can train."""

from medtl_core.gans.loops.cyclegan import CycleGAN
from medtl_core.gans.networks.patch_discriminator import PatchDiscriminator
from medtl_core.gans.networks.resnet import ResNetGenerator


def cycle_networks(channels: int, *, seed: int, width: int = 8, layers: int = 2) -> CycleGAN:
    """Two generators with two residual blocks of `width`, two PatchGANs with `layers` of stride 2.

    Both domains have `channels`; patches are 16 px wide with one layer and 34 px with two. The networks start
    from `seed` to `seed` + 3: G, F, the discriminator of X, that of Y. Errors as those of the networks.
    """
    g, f = (
        ResNetGenerator(inputs=channels, outputs=channels, seed=seed + k, width=width, blocks=2)
        for k in (0, 1)
    )
    d_x, d_y = (
        PatchDiscriminator(channels=channels, seed=seed + k, layers=layers, width=16, norm="instance")
        for k in (2, 3)
    )
    return CycleGAN(g, f, d_x, d_y)
