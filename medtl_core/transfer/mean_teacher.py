"""Mean teacher: a student made to agree with its own moving average (Tarvainen & Valpola, NeurIPS 2017)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError
from medtl_core.training.prediction import Data

Perturbation = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class MeanTeacherConfig:
    """How to train. `batch_size` labelled and as many unlabelled cases a step, for `steps` updates.

    `consistency` is the weight of the consistency cost after its ramp-up, which takes the share `ramp_up`
    (0 to 1) of the steps; 0 is training on the labelled cases alone. `ema_decay` (0 to below 1) is the share
    that the teacher keeps of itself at each step.
    """

    steps: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    consistency: float = 10.0
    ramp_up: float = 0.3
    ema_decay: float = 0.95

    def __post_init__(self) -> None:
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
            "consistency": (0 <= self.consistency < math.inf, "at least 0"),
            "ramp_up": (0 <= self.ramp_up <= 1, "from 0 to 1"),
            "ema_decay": (0 <= self.ema_decay < 1, "from 0 to below 1"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise MedtlError(f"mean teacher: {name} is {getattr(self, name)}, expected {expected}")


@dataclass(frozen=True)
class MeanTeacherResult:
    """The teacher in evaluation mode; per step `classification` and `consistency` cost and its `weight`."""

    teacher: nn.Module
    history: list[dict[str, float]]


def gaussian_noise(sd: float) -> Perturbation:
    """Perturbation that adds independent Gaussian noise of standard deviation `sd` to every input."""

    def perturb(x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
        return x + sd * noise.to(x.device)

    return perturb


def ramp_up_weight(step: int, ramp_steps: float) -> float:
    """exp(-5 (1 - t)^2) with t = step / ramp_steps, then 1 (Laine & Aila, ICLR 2017)."""
    if step >= ramp_steps:
        return 1.0
    return math.exp(-5 * (1 - step / ramp_steps) ** 2)


def consistency_cost(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the two soft-max outputs; logits (N, K), the teacher's without gradient."""
    target = functional.softmax(teacher.detach(), dim=1)
    return functional.mse_loss(functional.softmax(student, dim=1), target)


def train_mean_teacher(
    network: nn.Module,
    labelled: Data,
    unlabelled: Data,
    normalisation: Normalisation | None,
    config: MeanTeacherConfig,
    *,
    perturb: Perturbation,
    seed: int,
) -> MeanTeacherResult:
    """Train `network` as the student and return its teacher.

    Each step: cross-entropy of the student on a labelled batch, consistency cost of student and teacher on
    the labelled and an unlabelled batch, each seen through its own perturbation, an AdamW update of the
    student, and teacher = decay * teacher + (1 - decay) * student (its first update copies the student). The
    labels of `unlabelled` are never read. Batches are drawn with replacement; `seed` alone decides them, the
    perturbation and dropout.

    Raises MedtlError for an empty set and for a loss that is not finite, naming the step.
    """
    if not len(labelled) or not len(unlabelled):
        raise MedtlError(
            f"mean teacher: {len(labelled)} labelled and {len(unlabelled)} unlabelled cases, "
            "expected at least 1 of each"
        )
    device = labelled.labels.device
    draw = torch.Generator().manual_seed(seed)
    student = network.to(device).train()
    teacher = AveragedModel(
        student, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True
    ).train()
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    history = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for step in range(config.steps):
            known = torch.randint(len(labelled), (config.batch_size,), generator=draw).to(device)
            more = torch.randint(len(unlabelled), (config.batch_size,), generator=draw).to(device)
            x = torch.cat([labelled.inputs(known, normalisation), unlabelled.inputs(more, normalisation)])
            logits = student(perturb(x, draw))
            with torch.no_grad():
                expected = teacher(perturb(x, draw))
            classification = functional.cross_entropy(logits[: len(known)], labelled.labels[known])
            agreement = consistency_cost(logits, expected)
            weight = config.consistency * ramp_up_weight(step, config.ramp_up * config.steps)
            loss = classification + weight * agreement
            if not torch.isfinite(loss):
                raise MedtlError(
                    f"mean teacher: loss is {loss.item()} at step {step + 1}, expected a finite one; "
                    f"lower the learning rate ({config.learning_rate:g})"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            teacher.update_parameters(student)
            history.append(
                {
                    "classification": float(classification.detach()),
                    "consistency": float(agreement.detach()),
                    "weight": weight,
                }
            )
    student.eval()
    return MeanTeacherResult(teacher.module.eval(), history)
