"""What validators look at, from a trained network."""

import torch

from medtl_core.adaptation.deep.network import AdaptableNetwork
from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.validators.outputs import Outputs
from medtl_core.data.tensors import Normalisation
from medtl_core.training.prediction import evaluation_mode


def outputs_of(
    network: AdaptableNetwork,
    held_out: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    batch_size: int = 256,
) -> Outputs:
    """Features and probabilities of held-out source cases and of target cases, in their order.

    `held_out` are source cases that the network was not trained on.
    """
    found = []
    for cases in (held_out, target):
        starts = range(0, len(cases), batch_size)
        with evaluation_mode(network):
            features = torch.cat(
                [network.extractor(cases.inputs(slice(i, i + batch_size), normalisation)) for i in starts]
            )
            probabilities = network.classifier(features).double().softmax(1)
        found += [features.double().cpu().numpy(), probabilities.cpu().numpy()]
    return Outputs(found[0], found[1], held_out.labels.cpu().numpy(), found[2], found[3])
