"""Attention-guided CycleGAN (Mejjati et al. 2018), with masks on some of the images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import inner_images, require_fit
from medtl_core.gans.image_pool import ImagePool
from medtl_core.gans.loops.cyclegan import SHOWN, CycleGAN
from medtl_core.gans.loops.optimisation import adam, frozen, linear_decay, require_settings, update
from medtl_core.gans.loops.snapshot import Watching
from medtl_core.gans.loops.training_run import GANResult, TrainingRun, data_identity
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.losses.attention import attention_agreement, attention_sparsity, attention_supervision
from medtl_core.gans.losses.translation import cycle_loss
from medtl_core.gans.networks.patch_discriminator import PatchDiscriminator
from medtl_core.gans.warning_signs import collapse_sign, unchanged_sign


@dataclass(frozen=True)
class AttentionCycleConfig:
    """How to train. Paper: learning rate 1e-4, cycle 10, switch at 30 of 100 epochs, threshold .1, pool 50.

    mask_weight, agreement_weight, sparsity_weight: of the three attention terms until the switch, our reading
    of the semi-supervised module of Xu et al. 2019; all 0 is the method of Mejjati et al.
    """

    steps: int = 2000
    batch_size: int = 4
    learning_rate: float = 1e-4
    loss: str = "least_squares"
    cycle_weight: float = 10.0
    switch_at: float = 0.3
    threshold: float = 0.1
    mask_weight: float = 1.0
    agreement_weight: float = 0.0
    sparsity_weight: float = 0.0
    pool: int = 50

    def __post_init__(self) -> None:
        adversarial_loss(self.loss)
        numbers = {name: value for name, value in vars(self).items() if name != "loss"}
        require_settings("attention CycleGAN", **numbers)


class AttentionCycleGAN(CycleGAN):
    """A CycleGAN with an attention network for each domain: images in -1 to 1 -> maps (N, 1, H, W)."""

    def __init__(
        self,
        g: nn.Module,
        f: nn.Module,
        d_x: PatchDiscriminator,
        d_y: PatchDiscriminator,
        a_x: nn.Module,
        a_y: nn.Module,
    ) -> None:
        super().__init__(g, f, d_x, d_y)
        self.a_x, self.a_y = a_x, a_y

    def to_y(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The translation m G(x) + (1 - m) x and its map m = A_X(x) (the paper's equation 1)."""
        attention = self.a_x(x)
        return attention * self.g(x) + (1 - attention) * x, attention

    def to_x(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The translation m F(y) + (1 - m) y and its map m = A_Y(y)."""
        attention = self.a_y(y)
        return attention * self.f(y) + (1 - attention) * y, attention


def train_attention_cyclegan(
    networks: AttentionCycleGAN,
    x_images: Tensor,
    y_images: Tensor,
    config: AttentionCycleConfig,
    *,
    seed: int,
    x_masks: Tensor | None = None,
    x_annotated: Tensor | None = None,
    watching: Watching | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> GANResult[AttentionCycleGAN]:
    """Train both ways on two unpaired sets (N, C, H, W) and (M, C, H, W) in 0 to 1, with attention.

    As in the paper's published code: until the switch, at the share `switch_at` of the steps, generators and
    attention learn together and the discriminators see whole images. From then on the attention networks are
    frozen, the discriminators work without their norm, and they see an image only where its map is at least
    `threshold`, 0 elsewhere; a generated image has the map of its source, and the pool keeps both. The
    learning rate falls to 0 over the second half.

    x_masks: float (N, 1, H, W) in 0 to 1, what has to be changed in images of X; x_annotated: bool (N,),
    which of them have a mask (None: all). Supervision of their maps, agreement of the maps there and back,
    and sparsity of the maps of Y and of the images without mask are after Chen et al. 2018; that Xu et al.
    2019 mean this is our reading. Seeds and checkpoints as in `train_gan`; `attention_x` and `attention_y` in
    the history are mean maps.

    Raises MedtlError as `train_gan`, and for sets or masks that do not fit together.
    """
    who, n = "attention CycleGAN", config.batch_size
    x_all, y_all = (inner_images(images, who, n) for images in (x_images, y_images))
    device, switch = x_all.device, round(config.switch_at * config.steps)
    masks, annotated = _checked_masks(x_images, x_masks, x_annotated)
    networks.to(device).train()
    attention_networks, d_x, d_y = (networks.a_x, networks.a_y), networks.d_x, networks.d_y
    loss, x_pool, y_pool = adversarial_loss(config.loss), ImagePool(config.pool), ImagePool(config.pool)
    optimisers = {
        "g_optimiser": adam(networks.g, networks.f, learning_rate=config.learning_rate),
        "a_optimiser": adam(*attention_networks, learning_rate=config.learning_rate),
        "d_optimiser": adam(d_x, d_y, learning_rate=config.learning_rate),
    }
    schedules = {f"{name}_rate": linear_decay(one, config.steps) for name, one in optimisers.items()}
    run = TrainingRun(
        who,
        {"networks": networks, **optimisers, **schedules, "x_pool": x_pool, "y_pool": y_pool},
        steps=config.steps,
        seed=seed,
        device=device,
        identity=f"{config}, images {data_identity(x_images, y_images, masks, annotated.byte())}",
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )

    @torch.no_grad()
    def view() -> tuple[dict[str, Tensor], list[str]]:
        networks.eval()
        x, y = x_all[:SHOWN], y_all[:SHOWN]
        (fake_y, map_x), (fake_x, map_y) = networks.to_y(x), networks.to_x(y)
        networks.train()
        rows = {"x": x, "map of x": _shown(map_x, x), "to y": fake_y}
        rows |= {"y": y, "map of y": _shown(map_y, y), "to x": fake_x}
        signs = {
            "to y": (collapse_sign(fake_y, y_all), unchanged_sign((fake_y + 1) / 2, (x + 1) / 2)),
            "to x": (collapse_sign(fake_x, x_all), unchanged_sign((fake_x + 1) / 2, (y + 1) / 2)),
        }
        return rows, [f"{name}: {sign}" for name, both in signs.items() for sign in both if sign]

    for name, network, given, like in (
        ("G", networks.g, x_all, y_all),
        ("F", networks.f, y_all, x_all),
        ("A_X", networks.a_x, x_all, masks),
        ("A_Y", networks.a_y, y_all, masks),
        ("D_X", d_x, x_all, None),
        ("D_Y", d_y, y_all, None),
    ):
        require_fit(f"{who}, {name}", network, [given[:1]], like)
    with run:
        for step in run.steps(watching, view):
            before = step < switch
            batch = run.batch(len(x_all), n)
            x, y = x_all[batch], y_all[run.batch(len(y_all), n, stream=1)]

            def judged(d: nn.Module, images: Tensor, attention: Tensor, whole: bool = before) -> Tensor:
                seen = images if whole else images * (attention >= config.threshold)
                logits: Tensor = d(seen, normalised=whole)
                return logits

            with frozen(d_x, d_y, *(() if before else attention_networks)):
                (fake_y, map_x), (fake_x, map_y) = networks.to_y(x), networks.to_x(y)
                (x_again, map_back_x), (y_again, map_back_y) = networks.to_x(fake_y), networks.to_y(fake_x)
                g_loss = loss.generator(judged(d_y, fake_y, map_x)) + loss.generator(
                    judged(d_x, fake_x, map_y)
                )
                cycle = cycle_loss(x, x_again, y, y_again)
                total = g_loss + config.cycle_weight * cycle
                supervision = attention_supervision(map_x, masks[batch], annotated[batch])
                if before:
                    agreement = attention_agreement(map_x, map_back_x) + attention_agreement(
                        map_y, map_back_y
                    )
                    free = torch.cat([map_x[~annotated[batch]], map_y])
                    total = total + config.mask_weight * supervision + config.agreement_weight * agreement
                    total = total + config.sparsity_weight * attention_sparsity(free)
                optimisers["a_optimiser"].zero_grad(set_to_none=True)
                update(optimisers["g_optimiser"], total)
                if before:
                    optimisers["a_optimiser"].step()

            with torch.no_grad():
                old_y, old_map_x = _exchanged(y_pool, fake_y, map_x, run.generator)
                old_x, old_map_y = _exchanged(x_pool, fake_x, map_y, run.generator)
                of_x, of_y = networks.a_x(x), networks.a_y(y)
            d_loss = 0.5 * loss.discriminator(judged(d_y, y, of_y), judged(d_y, old_y, old_map_x))
            d_loss = d_loss + 0.5 * loss.discriminator(judged(d_x, x, of_x), judged(d_x, old_x, old_map_y))
            update(optimisers["d_optimiser"], d_loss)
            for schedule in schedules.values():
                schedule.step()
            run.record(
                discriminator=d_loss,
                generator=g_loss,
                cycle=cycle,
                supervision=supervision,
                attention_x=map_x.mean(),
                attention_y=map_y.mean(),
            )

    signs = tuple(view()[1])
    return GANResult(networks.eval(), run.history, signs)


def _exchanged(
    pool: ImagePool, images: Tensor, maps: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """New and earlier images, each with the map that belongs to it."""
    both = pool.exchange(torch.cat([images, maps], dim=1), generator)
    return both[:, :-1], both[:, -1:]


def _shown(maps: Tensor, like: Tensor) -> Tensor:
    """Maps 0 to 1 as images -1 to 1."""
    return (2 * maps - 1).expand_as(like)


def _checked_masks(images: Tensor, masks: Tensor | None, annotated: Tensor | None) -> tuple[Tensor, Tensor]:
    """Masks (N, 1, H, W) and which of the images have one; none has one where no masks are given."""
    expected = (len(images), 1, *images.shape[2:])
    if masks is None:
        if annotated is not None:
            raise MedtlError("attention CycleGAN: annotated images without masks, expected both or neither")
        return images.new_zeros(expected), images.new_zeros(len(images), dtype=torch.bool)
    if masks.shape != expected or not masks.is_floating_point() or masks.min() < 0 or masks.max() > 1:
        raise MedtlError(
            f"attention CycleGAN: masks {masks.dtype} {tuple(masks.shape)}, expected float {expected} in "
            "0 to 1"
        )
    if annotated is None:
        annotated = torch.ones(len(images), dtype=torch.bool)
    if annotated.shape != (len(images),) or annotated.dtype != torch.bool:
        raise MedtlError(
            f"attention CycleGAN: annotated {annotated.dtype} {tuple(annotated.shape)}, expected bool "
            f"({len(images)},)"
        )
    return masks.to(images.device), annotated.to(images.device)
