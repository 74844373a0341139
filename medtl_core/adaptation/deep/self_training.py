"""Class-balanced self-training: confident guesses become labels, round by round (Zou et al., ECCV 2018)."""

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.adaptation.deep.batches import require_adaptable, source_batches
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.source_only import train_source_only
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError


def most_confident(probabilities: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Index and predicted class of the most confident `share` of the cases of each predicted class.

    probabilities (N, K). Every class that is predicted at all gives at least one case, so that a frequent
    class does not crowd out a rare one. The index ascends.
    """
    confidence, guessed = probabilities.max(1)
    chosen = []
    for label in guessed.unique():
        members = torch.nonzero(guessed == label).flatten()
        count = max(1, round(share * len(members)))
        order = confidence[members].argsort(descending=True, stable=True)
        chosen.append(members[order[:count]])
    index = torch.cat(chosen).sort().values
    return index, guessed[index]


def train_self_training(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    shares: tuple[float, ...] = (0.2, 0.35, 0.5),
) -> Adapted:
    """Train on the source for `config.steps` updates, then one round for each of `shares`.

    A round labels the target by the network's own guesses, keeps the `most_confident` share of each class,
    and trains on as many steps again, divided by the number of rounds: cross-entropy on a source batch + on a
    batch of guesses (drawn with replacement). History: `loss`, in the rounds also `classification` and
    `guesses`. Errors as `paired_batches`, and MedtlError for shares not above 0 and at most 1.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise MedtlError(f"self-training: shares {shares}, expected one or more above 0 and at most 1")
    require_adaptable([source], target, config)
    result = train_source_only(network, source, normalisation, config, seed=seed)
    for number, share in enumerate(shares, start=1):
        guesses = target.with_labels(
            *most_confident(target.probabilities(result.network, normalisation), share)
        )
        steps = max(1, config.steps // len(shares))
        draw = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        history = result.history
        result = _round(
            result.network, source, guesses, normalisation, dataclasses.replace(config, steps=steps), draw
        )
        result = Adapted(result.network, history + result.history)
    return result


def _round(
    network: AdaptableNetwork,
    source: Labelled,
    guesses: Labelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    seed: int,
) -> Adapted:
    order = torch.Generator().manual_seed(seed)
    with training_copy(network, [source], seed) as trained:
        updates = Updates(trained.parameters(), config, watched=trained)
        for x_s, y_s in source_batches(source, normalisation, config, seed):
            index = torch.randint(len(guesses), (config.batch_size,), generator=order).to(y_s.device)
            z_s, z_t = in_one_batch(trained, x_s, guesses.inputs(index, normalisation))
            classification = functional.cross_entropy(z_s, y_s)
            guessed = functional.cross_entropy(z_t, guesses.labels[index])
            updates.step(classification + guessed, classification=classification, guesses=guessed)
    return Adapted(trained, updates.history())
