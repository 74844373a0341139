"""Domain-adversarial neural network: features that hide their domain (Ganin et al., JMLR 2016)."""

from torch.nn import functional

from medtl_core.adaptation.deep.batches import paired_batches
from medtl_core.adaptation.deep.gradient_reversal import (
    DomainDiscriminator,
    domain_loss,
    reversal_coefficient,
    reverse_gradient,
)
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation


def train_dann(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    trade_off: float = 1.0,
) -> Adapted:
    """Train a copy of `network` against a domain discriminator on its features (algorithm 1).

    The discriminator lowers the domain loss; the extractor, through gradient reversal with coefficient
    `trade_off` * `reversal_coefficient`, raises it. Source and target pass through the network in one batch.
    History: `loss`, `classification`, `domain` (log 2 = 0.693 where the discriminator can tell nothing).
    Errors as `paired_batches`.
    """
    with training_copy(network, [source], seed) as trained:
        discriminator = DomainDiscriminator(trained.num_features).to(source.labels.device)
        updates = Updates([*trained.parameters(), *discriminator.parameters()], config, watched=trained)
        batches = paired_batches(source, target, normalisation, config, seed)
        for step, (x_s, y_s, x_t) in enumerate(batches):
            coefficient = trade_off * reversal_coefficient(step / config.steps)
            f_s, f_t = in_one_batch(trained.extractor, x_s, x_t)
            classification = functional.cross_entropy(trained.classifier(f_s), y_s)
            domain = domain_loss(
                discriminator(reverse_gradient(f_s, coefficient)),
                discriminator(reverse_gradient(f_t, coefficient)),
            )
            updates.step(classification + domain, classification=classification, domain=domain)
    return Adapted(trained, updates.history())
