"""Deep adaptation network: features matched by multi-kernel MMD (Long et al., ICML 2015)."""

import torch
from torch import Tensor
from torch.nn import functional

from medtl_core.adaptation.deep.batches import paired_batches
from medtl_core.adaptation.deep.network import AdaptableNetwork, in_one_batch
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig, Adapted, Updates, training_copy
from medtl_core.data.tensors import Normalisation

# Powers of two by which the squared median distance is multiplied, one Gaussian kernel each.
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def multi_kernel_mmd2(source: Tensor, target: Tensor) -> Tensor:
    """Unbiased squared MMD of source (n, d) and target (m, d), mean over Gaussian kernels of five widths.

    k_u(a, b) = exp(-|a - b|^2 / (2 u s^2)) for u in `WIDTHS`, with s the median distance of any two cases of
    the batch, through which no gradient flows. Close to 0, and by chance below it, for equal distributions.
    """
    n, m = len(source), len(target)
    cases = torch.cat([source, target])
    cases = cases - cases.detach().mean(0)  # distances from a matrix product lose digits far from the origin
    norms = cases.square().sum(1)
    squared = (norms[:, None] + norms - 2 * cases @ cases.T).clamp(min=0)
    pairs = torch.triu_indices(n + m, n + m, offset=1)
    median = squared.detach()[pairs[0], pairs[1]].quantile(0.5).clamp(min=torch.finfo(squared.dtype).tiny)
    kernel = torch.stack([torch.exp(-squared / (2 * u * median)) for u in WIDTHS]).mean(0)
    same = kernel.diagonal()
    within_source = (kernel[:n, :n].sum() - same[:n].sum()) / (n * (n - 1))
    within_target = (kernel[n:, n:].sum() - same[n:].sum()) / (m * (m - 1))
    return within_source + within_target - 2 * kernel[:n, n:].mean()


def train_dan(
    network: AdaptableNetwork,
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    *,
    seed: int,
    trade_off: float = 1.0,
) -> Adapted:
    """Train a copy of `network` with cross-entropy on the source + `trade_off` * MMD^2 (eq. 4).

    MMD^2 is summed over the dense layers: features and logits. The kernels have equal weights; the paper
    learns them. Source and target pass through the network in one batch. History: `loss`, `classification`,
    `mmd2`. Errors as `paired_batches`.
    """
    with training_copy(network, [source], seed) as trained:
        updates = Updates(trained.parameters(), config, watched=trained)
        for x_s, y_s, x_t in paired_batches(source, target, normalisation, config, seed):
            f_s, f_t = in_one_batch(trained.extractor, x_s, x_t)
            z_s, z_t = in_one_batch(trained.classifier, f_s, f_t)
            classification = functional.cross_entropy(z_s, y_s)
            mmd2 = multi_kernel_mmd2(f_s, f_t) + multi_kernel_mmd2(z_s, z_t)
            updates.step(classification + trade_off * mmd2, classification=classification, mmd2=mmd2)
    return Adapted(trained, updates.history())
