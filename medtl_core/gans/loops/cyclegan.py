"""CycleGAN: image translation between two unpaired sets (Zhu et al. 2017)."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from medtl_core.gans.domain_images import inner_images, require_fit
from medtl_core.gans.image_pool import ImagePool
from medtl_core.gans.loops.optimisation import adam, frozen, linear_decay, require_settings, update
from medtl_core.gans.loops.snapshot import Watching
from medtl_core.gans.loops.training_run import GANResult, TrainingRun, data_identity
from medtl_core.gans.losses.adversarial import adversarial_loss
from medtl_core.gans.losses.translation import cycle_loss, identity_loss
from medtl_core.gans.warning_signs import collapse_sign, unchanged_sign

SHOWN = 8


@dataclass(frozen=True)
class CycleConfig:
    """How to train; the paper's weights: 10 for the cycle, and 5 for the identity where it is used.

    Weight 0 leaves a term out. Identity needs two sets with the same channels. pool: earlier images that the
    discriminators see. The learning rate falls to 0 over the second half.
    """

    steps: int = 2000
    batch_size: int = 4
    learning_rate: float = 2e-4
    loss: str = "least_squares"
    cycle_weight: float = 10.0
    identity_weight: float = 0.0
    pool: int = 50
    bfloat16: bool = False

    def __post_init__(self) -> None:
        adversarial_loss(self.loss)
        require_settings(
            "CycleGAN",
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            cycle_weight=self.cycle_weight,
            identity_weight=self.identity_weight,
            pool=self.pool,
        )


class CycleGAN(nn.Module):
    """G from domain X to Y, F from Y to X, and a discriminator for each domain, images in -1 to 1."""

    def __init__(self, g: nn.Module, f: nn.Module, d_x: nn.Module, d_y: nn.Module) -> None:
        super().__init__()
        self.g, self.f, self.d_x, self.d_y = g, f, d_x, d_y


def train_cyclegan(
    networks: CycleGAN,
    x_images: Tensor,
    y_images: Tensor,
    config: CycleConfig,
    *,
    seed: int,
    watching: Watching | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 500,
) -> GANResult[CycleGAN]:
    """Train both ways on two unpaired sets: float (N, A, H, W) and (M, B, H, W) in 0 to 1.

    The generators are updated together, then the discriminators, with half of their loss, on real images and
    on a mixture of new and earlier generated ones. Seeds and checkpoints as in `train_gan`. In the history,
    `cycle` and `identity` are mean absolute differences in values of -1 to 1; `change_x` is |G(x) - x| of the
    batch, the resemblance that the cycle does not ask for (only for equal channels).

    Raises MedtlError as `train_gan`.
    """
    x_all, y_all = (inner_images(images, "CycleGAN", config.batch_size) for images in (x_images, y_images))
    device, n = x_all.device, config.batch_size
    networks.to(device).train()
    g, f, d_x, d_y = networks.g, networks.f, networks.d_x, networks.d_y
    loss, x_pool, y_pool = adversarial_loss(config.loss), ImagePool(config.pool), ImagePool(config.pool)
    g_optimiser = adam(g, f, learning_rate=config.learning_rate)
    d_optimiser = adam(d_x, d_y, learning_rate=config.learning_rate)
    schedules = [linear_decay(optimiser, config.steps) for optimiser in (g_optimiser, d_optimiser)]
    run = TrainingRun(
        "CycleGAN",
        {
            "networks": networks,
            "g_optimiser": g_optimiser,
            "d_optimiser": d_optimiser,
            "g_schedule": schedules[0],
            "d_schedule": schedules[1],
            "x_pool": x_pool,
            "y_pool": y_pool,
        },
        steps=config.steps,
        seed=seed,
        device=device,
        identity=f"{config}, images {data_identity(x_images, y_images)}",
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )

    @torch.no_grad()
    def view() -> tuple[dict[str, Tensor], list[str]]:
        networks.eval()
        x, y = x_all[:SHOWN], y_all[:SHOWN]
        to_y, to_x = g(x), f(y)
        rows = {"x": x, "G(x)": to_y, "F(G(x))": f(to_y), "y": y, "F(y)": to_x, "G(F(y))": g(to_x)}
        networks.train()
        signs = {
            "G": (collapse_sign(to_y, y_all), unchanged_sign((to_y + 1) / 2, (x + 1) / 2)),
            "F": (collapse_sign(to_x, x_all), unchanged_sign((to_x + 1) / 2, (y + 1) / 2)),
        }
        return rows, [f"{name}: {sign}" for name, both in signs.items() for sign in both if sign]

    for name, network, given, like in (("G", g, x_all, y_all), ("F", f, y_all, x_all)):
        require_fit(f"CycleGAN, {name}", network, [given[:1]], like)
    for name, network, given in (("D_X", d_x, x_all), ("D_Y", d_y, y_all)):
        require_fit(f"CycleGAN, {name}", network, [given[:1]], None)
    with run:
        for _ in run.steps(watching, view):
            x, y = x_all[run.batch(len(x_all), n)], y_all[run.batch(len(y_all), n, stream=1)]
            with frozen(d_x, d_y), run.half_precision(config.bfloat16):
                fake_y, fake_x = g(x), f(y)
                x_again, y_again = f(fake_y), g(fake_x)
                on_y, on_x = d_y(fake_y), d_x(fake_x)
            g_loss = loss.generator(on_y.float()) + loss.generator(on_x.float())
            cycle = cycle_loss(x, x_again.float(), y, y_again.float())
            total, losses = g_loss + config.cycle_weight * cycle, {"cycle": cycle}
            if config.identity_weight:
                with run.half_precision(config.bfloat16):
                    f_of_x, g_of_y = f(x), g(y)
                losses["identity"] = identity_loss(x, f_of_x.float(), y, g_of_y.float())
                total = total + config.identity_weight * losses["identity"]
            update(g_optimiser, total)

            with run.half_precision(config.bfloat16):
                old_y, old_x = (
                    pool.exchange(fake.float(), run.generator)
                    for pool, fake in ((y_pool, fake_y), (x_pool, fake_x))
                )
                real_y, made_y, real_x, made_x = d_y(y), d_y(old_y), d_x(x), d_x(old_x)
            d_loss = 0.5 * loss.discriminator(real_y.float(), made_y.float())
            d_loss = d_loss + 0.5 * loss.discriminator(real_x.float(), made_x.float())
            update(d_optimiser, d_loss)
            for schedule in schedules:
                schedule.step()
            if x.shape == fake_y.shape:
                losses["change_x"] = (fake_y.float() - x).abs().mean()
            run.record(discriminator=d_loss, generator=g_loss, **losses)

    signs = tuple(view()[1])
    return GANResult(networks.eval(), run.history, signs)
