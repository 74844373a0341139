"""Training on the source alone: the lower end of every comparison of adaptation methods."""

from torch.nn import functional

from medtl_core.adaptation.deep.batches import source_batches
from medtl_core.adaptation.deep.network import AdaptableNetwork
from medtl_core.adaptation.deep.unlabelled import Labelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation


def train_source_only(
    network: AdaptableNetwork,
    source: Labelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
) -> Adapted:
    """Train a copy of `network` with cross-entropy on `source`.

    It meets the same source batches as every method of one source does for the same seed and config. On
    `combined(sources)` it is the source-combined baseline; on a labelled target, the oracle. History: `loss`.
    Raises MedtlError for a source of one class or smaller than a batch, and for a loss that is not finite.
    """
    with training_copy(network, [source], seed) as trained:
        updates = Updates(trained.parameters(), config, watched=trained)
        for x, y in source_batches(source, normalisation, config, seed):
            updates.step(functional.cross_entropy(trained(x), y))
    return Adapted(trained, updates.history())
