"""Multi-source domain-adversarial network: one discriminator a source (MDAN, Zhao et al., NeurIPS 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.adaptation.deep.batches import multi_source_batches
from medtl_core.adaptation.deep.gradient_reversal import (
    DomainDiscriminator,
    domain_loss,
    reverse_gradient,
)
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError


def hard_bound(errors: Tensor, domains: Tensor, trade_off: float) -> Tensor:
    """max_i errors_i + `trade_off` * min_i domains_i, for errors and domain losses (N,) of N sources.

    The smallest domain loss belongs to the source that the discriminator tells best from the target.
    """
    return errors.max() + trade_off * domains.min()


def soft_bound(errors: Tensor, domains: Tensor, trade_off: float, gamma: float) -> Tensor:
    """(1 / gamma) log sum_i exp(gamma (errors_i + `trade_off` * domains_i)), for (N,) of N sources."""
    return (gamma * (errors + trade_off * domains)).logsumexp(0) / gamma


def train_mdan(
    network: AdaptableNetwork,
    sources: Sequence[Labelled],
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    trade_off: float = 1.0,
    gamma: float | None = 10.0,
) -> Adapted:
    """Train a copy of `network` on the soft bound with `gamma`, or with None on the hard one.

    Each source has a discriminator against the target, behind a gradient reversal. All domains pass through
    the network in one batch. History: `loss`, `classification` and `domain` (means over sources). Errors as
    `multi_source_batches`, and MedtlError for a gamma not above 0.
    """
    if gamma is not None and not gamma > 0:
        raise MedtlError(f"mdan: gamma is {gamma}, expected above 0, or None for the hard bound")
    batches = multi_source_batches(sources, target, normalisation, config, seed)
    with training_copy(network, sources, seed) as trained:
        device = next(trained.parameters()).device
        discriminators = [DomainDiscriminator(trained.num_features).to(device) for _ in sources]
        of_discriminators = [weight for one in discriminators for weight in one.parameters()]
        updates = Updates([*trained.parameters(), *of_discriminators], config, watched=trained)
        for labelled, x_t in batches:
            *f_s, f_t = in_one_batch(trained.extractor, *(x for x, _ in labelled), x_t)
            errors, domains = [], []
            for f, (_, y), discriminator in zip(f_s, labelled, discriminators, strict=True):
                errors.append(functional.cross_entropy(trained.classifier(f), y))
                domains.append(
                    domain_loss(discriminator(reverse_gradient(f)), discriminator(reverse_gradient(f_t)))
                )
            error, domain = torch.stack(errors), torch.stack(domains)
            if gamma is None:
                loss = hard_bound(error, domain, trade_off)
            else:
                loss = soft_bound(error, domain, trade_off, gamma)
            updates.step(loss, classification=error.mean(), domain=domain.mean())
    return Adapted(trained, updates.history())
