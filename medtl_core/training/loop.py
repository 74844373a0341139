"""One training loop for every network, policy and data set."""

import math
import time
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from medtl_core.data.tensors import Normalisation, augment_affine, normalise
from medtl_core.errors import MedtlError
from medtl_core.evaluation.metrics import auroc
from medtl_core.training.policies import Phase, Policy, optimizer_groups, set_mode
from medtl_core.training.prediction import Data, logits_of, predict
from medtl_core.training.soft_targets import Augmentation, augmented_batch, soft_cross_entropy

__all__ = ["AUGMENTATION", "FitConfig", "FitResult", "fit", "predict"]

AUGMENTATION: dict[str, Any] = {"flip": True, "degrees": 10.0, "translate": 0.05, "scale": 0.1}


@dataclass(frozen=True)
class FitConfig:
    """How to train. Everything here is the same for all arms of a comparison.

    `learning_rate` is the peak of a cosine that ends at 0, reached after a linear warm-up over the share
    `warmup` (0 to below 1) of the steps of each phase of the policy. `best_by` is what epochs are compared by
    on the validation cases: `val_auroc` (the higher, among equals the lower loss) or `val_loss` (the lower).
    Loss is a poor judge of short training on few cases: it prefers a network that has learnt nothing and says
    so to one that ranks cases well and is too sure of it. After `patience` epochs without a better one (None:
    never) a phase ends, the last one being the end of training. `augment` flips, turns, shifts and scales
    training images at random (`AUGMENTATION`).
    """

    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.0
    patience: int | None = None
    augment: bool = False
    best_by: str = "val_auroc"

    def __post_init__(self) -> None:
        rules = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 2, "at least 2 (batch norm has no variance of one image)"),
            "learning_rate": (0 < self.learning_rate < math.inf, "above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0"),
            "warmup": (0 <= self.warmup < 1, "from 0 to below 1"),
            "patience": (self.patience is None or self.patience >= 1, "at least 1, or None"),
            "best_by": (self.best_by in ("val_auroc", "val_loss"), "'val_auroc' or 'val_loss'"),
        }
        for name, (holds, expected) in rules.items():
            if not holds:
                raise MedtlError(f"fit: {name} is {getattr(self, name)}, expected {expected}")

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        """What an entry of the history is compared by; the highest is the best."""
        loss = -epoch["val_loss"]
        return (epoch["val_auroc"], loss) if self.best_by == "val_auroc" else (loss,)


@dataclass(frozen=True)
class FitResult:
    """What happened in training.

    `history` has one entry per epoch: `epoch` (from 1), `train_loss` and `train_accuracy` (means over the
    epoch's cases, in training mode), `val_loss` (cross-entropy) and `val_auroc`. `best_epoch` is the
    one that is best on the validation cases (`FitConfig.best_by`), whose weights the network has, and `best`
    its entry. `steps` counts updates; `seconds` is wall time.
    """

    history: list[dict[str, float]]
    best_epoch: int
    steps: int
    seconds: float

    @property
    def best(self) -> dict[str, float]:
        """The entry of the history whose weights the network has."""
        return self.history[self.best_epoch - 1]


def fit(
    network: nn.Module,
    policy: Policy,
    train: Data,
    val: Data,
    normalisation: Normalisation | None,
    config: FitConfig,
    *,
    seed: int,
    progress: bool = False,
    augmentation: Augmentation | None = None,
) -> FitResult:
    """Train `network` with AdamW (Loshchilov & Hutter 2019), following the phases of `policy`.

    The network moves to the device of the data and ends in evaluation mode, with the weights of the epoch
    that is best on the validation cases; a later phase starts from the best weights so far. Batches are drawn
    without replacement; a last batch of one case, for which batch norm is undefined, is left out of its
    epoch. `seed` alone decides batches, dropout and augmentation. On CUDA the forward pass runs in bfloat16.

    augmentation: changes training images, in 0 to 1, and their soft targets (`soft_targets.Augmentation`).
    The loss is then the cross-entropy with soft targets, and `train_accuracy` counts their likeliest
    classes.

    Raises MedtlError for fewer than 2 training cases, labels outside the network's classes, a validation set
    that lacks a class, a loss that is not finite (naming epoch and step), and an `augmentation` together with
    `config.augment` or with features.
    """
    started = time.perf_counter()
    if len(train) < 2 or len(val) < 1:
        raise MedtlError(
            f"fit: {len(train)} training and {len(val)} validation cases, expected at least 2 and 1"
        )
    if augmentation is not None and config.augment:
        raise MedtlError(
            "fit: an augmentation and config.augment, expected one of them; set augment to False"
        )
    device = train.labels.device
    network.to(device).to(memory_format=torch.channels_last)
    order = torch.Generator().manual_seed(seed)
    warp = torch.Generator(device).manual_seed(seed) if config.augment or augmentation else None
    highest_label = int(torch.cat([train.labels, val.labels]).max())
    phases = policy.phases(network)
    history: list[dict[str, float]] = []
    best_epoch, best_weights, steps = 0, {}, 0
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        tqdm(total=config.epochs, desc=policy.name, unit="epoch", leave=False, disable=not progress) as bar,
    ):
        torch.manual_seed(seed)
        for phase, epochs in zip(phases, _epochs_of(phases, config.epochs), strict=True):
            groups = optimizer_groups(network, phase, config.learning_rate, config.weight_decay)
            optimiser = torch.optim.AdamW(groups, fused=True)
            full, rest = divmod(len(train), config.batch_size)
            updates = epochs * (full + (rest > 1))
            schedule = LambdaLR(optimiser, partial(_rate, updates=updates, warmup=config.warmup))
            stale = 0
            for _ in range(epochs):
                epoch = len(history) + 1
                set_mode(network, phase)
                losses, hits, cases = [], [], 0
                for batch in _batches(len(train), config.batch_size, order, device):
                    if augmentation is None or warp is None:
                        x, targets = _training_batch(train, batch, normalisation, warp)
                    else:
                        x, targets = augmented_batch(
                            train, batch, normalisation, highest_label + 1, augmentation, warp
                        )
                    with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                        logits = network(x)
                    _require_outputs(logits, highest_label)
                    soft = targets.ndim == 2
                    criterion = soft_cross_entropy if soft else functional.cross_entropy
                    loss = criterion(logits.float(), targets)
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    optimiser.step()
                    schedule.step()
                    # Numbers stay on the device until the epoch is over: reading one would wait for it.
                    losses.append(loss.detach() * len(batch))
                    labels = targets.argmax(1) if soft else targets
                    hits.append((logits.detach().argmax(1) == labels).sum())
                    cases += len(batch)
                steps += len(losses)
                _require_finite(torch.stack(losses), epoch, config)
                val_loss, val_auroc = _validate(network, val, normalisation, epoch)
                history.append(
                    {
                        "epoch": epoch,
                        "train_loss": float(torch.stack(losses).sum()) / cases,
                        "train_accuracy": int(torch.stack(hits).sum()) / cases,
                        "val_loss": val_loss,
                        "val_auroc": val_auroc,
                    }
                )
                bar.set_postfix(val_loss=f"{val_loss:.3f}", refresh=False)
                bar.update()
                stale += 1
                if not best_epoch or config.rank(history[-1]) > config.rank(history[best_epoch - 1]):
                    best_epoch, stale = epoch, 0
                    best_weights = {name: w.detach().clone() for name, w in network.state_dict().items()}
                if stale == config.patience:
                    break
            network.load_state_dict(best_weights)
    network.eval()
    return FitResult(history, best_epoch, steps, time.perf_counter() - started)


def _validate(
    network: nn.Module, val: Data, normalisation: Normalisation | None, epoch: int
) -> tuple[float, float]:
    logits = logits_of(network, val, normalisation, batch_size=256).double()
    loss = float(functional.cross_entropy(logits, val.labels))
    if not math.isfinite(loss):
        raise MedtlError(f"fit: validation loss is {loss} after epoch {epoch}; lower the learning rate")
    return loss, auroc(val.labels.cpu().numpy(), functional.softmax(logits, dim=1).cpu().numpy())


def _require_finite(losses: Tensor, epoch: int, config: FitConfig) -> None:
    finite = torch.isfinite(losses)
    if not finite.all():
        step = int((~finite).int().argmax())
        raise MedtlError(
            f"fit: loss is {float(losses[step])} in epoch {epoch}, step {step + 1} of {len(losses)}; "
            f"expected a finite one, lower the learning rate ({config.learning_rate:g}) or check the images"
        )


def _require_outputs(logits: Tensor, highest: int) -> None:
    """MedtlError unless every label has an output: on a GPU the loss would end the process instead."""
    if highest >= logits.shape[1]:
        raise MedtlError(
            f"fit: a label is {highest}, but the network has {logits.shape[1]} outputs; "
            "build it with num_classes to match"
        )


def _training_batch(
    train: Data, index: Tensor, normalisation: Normalisation | None, warp: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    if warp is None:
        return train.inputs(index, normalisation), train.labels[index]
    x = train.inputs(index, None)
    if x.ndim != 4:
        raise MedtlError("fit: augment is on, but the inputs are features; augmentation needs images")
    x = normalise(augment_affine(x, warp, **AUGMENTATION), normalisation)
    return x.contiguous(memory_format=torch.channels_last), train.labels[index]


def _batches(n: int, batch_size: int, order: torch.Generator, device: torch.device) -> list[Tensor]:
    """Indices of one epoch's batches, without replacement; a last batch of one case is left out."""
    batches = list(torch.randperm(n, generator=order).to(device).split(batch_size))
    return batches[:-1] if len(batches[-1]) == 1 else batches


def _epochs_of(phases: list[Phase], epochs: int) -> list[int]:
    """Whole epochs for each phase, by its share; MedtlError if one gets none."""
    ends = [round(epochs * share) for share in accumulate(phase.share for phase in phases)]
    counts = [end - start for start, end in pairwise([0, *ends])]
    if min(counts) < 1:
        raise MedtlError(f"fit: {epochs} epochs for {len(phases)} phases leave one without; take more")
    return counts


def _rate(step: int, updates: int, warmup: float) -> float:
    """Learning rate as a share of its peak: linear warm-up, then a cosine to 0 after `updates` steps."""
    ramp = int(warmup * updates)
    if step < ramp:
        return (step + 1) / (ramp + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - ramp) / (updates - ramp)))
