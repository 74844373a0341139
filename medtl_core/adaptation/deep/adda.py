"""Adversarial discriminative domain adaptation: a target extractor (ADDA, Tzeng et al., CVPR 2017)."""

import dataclasses

import torch
from torch.nn import functional

from medtl_core.adaptation.deep.batches import paired_batches, require_adaptable
from medtl_core.adaptation.deep.gradient_reversal import DomainDiscriminator, domain_loss
from medtl_core.adaptation.deep.network import AdaptableNetwork
from medtl_core.adaptation.deep.source_only import train_source_only
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation


def train_adda(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    extractor_rate: float = 0.1,
) -> Adapted:
    """Two stages of `config.steps` updates each (eq. 9): train on the source, then adapt an extractor.

    In the second stage a target extractor starts as the source's. It learns to be taken for the source by a
    discriminator that tells source features (source extractor, fixed) from target features. The classifier
    stays as it was. `extractor_rate` is the target extractor's learning rate as a share of `learning_rate`.
    The source extractor is in evaluation mode and the target's in training mode, so its batch norm takes on
    the target's statistics. No loss holds the classes in place: they can swap or collapse unnoticed.

    History: the first stage's `loss`, then per step `loss` (of the extractor) and `domain` (of the
    discriminator). Errors as `paired_batches`.
    """
    require_adaptable([source], target, config)
    first = train_source_only(network, source, normalisation, config, seed=seed)
    source_extractor = first.network.extractor
    with training_copy(first.network, [source], seed) as adapted:
        discriminator = DomainDiscriminator(adapted.num_features).to(source.labels.device)
        of_discriminator = Updates(discriminator.parameters(), config)
        slower = dataclasses.replace(config, learning_rate=extractor_rate * config.learning_rate)
        of_extractor = Updates(adapted.extractor.parameters(), slower)
        for x_s, _, x_t in paired_batches(source, target, normalisation, config, seed):
            with torch.no_grad():
                f_s = source_extractor(x_s)
            f_t = adapted.extractor(x_t)
            of_discriminator.step(domain_loss(discriminator(f_s), discriminator(f_t.detach())))
            judged = discriminator(f_t)
            of_extractor.step(functional.binary_cross_entropy_with_logits(judged, torch.ones_like(judged)))
    second = [
        {**extractor, "domain": discriminated["loss"]}
        for extractor, discriminated in zip(of_extractor.history(), of_discriminator.history(), strict=True)
    ]
    return Adapted(adapted, first.history + second)
