import numpy as np
import pytest
import torch
from scipy import signal

from medtl_core.backbones import head_of, small_cnn
from medtl_core.backbones.zoo import pooled_features
from medtl_core.errors import MedtlError
from medtl_core.training import policies


def test_parameters_as_counted_on_paper():
    network = small_cnn(num_classes=5, seed=0, width=4).network
    convolutions = 9 * (3 * 4 + 4 * 8 + 8 * 16)
    batch_norms = 2 * (4 + 8 + 16)
    assert sum(p.numel() for p in network.parameters()) == convolutions + batch_norms + (16 + 1) * 5


def by_numpy(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """The forward pass of one image with SciPy's correlation; fresh batch norm divides by sqrt(1 + 1e-5)."""
    maps = image
    for block in network.body:
        kernels = block[0].weight.detach().double().numpy()
        maps = np.stack(
            [
                sum(signal.correlate(m, k, mode="same") for m, k in zip(maps, one, strict=True))
                for one in kernels
            ]
        )
        maps = np.maximum(maps / np.sqrt(1 + 1e-5), 0)
        c, h, w = maps.shape
        maps = maps[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))
    head = network.head
    return head.weight.detach().double().numpy() @ maps.mean((1, 2)) + head.bias.detach().double().numpy()


def test_forward_pass_against_scipy():
    network = small_cnn(num_classes=3, seed=1, width=2).network.eval()
    image = np.random.default_rng(0).normal(size=(3, 17, 20))
    with torch.inference_mode():
        found = network(torch.from_numpy(image).float()[None])[0].numpy()
    assert np.allclose(found, by_numpy(network, image), atol=1e-5)


def test_head_of_pooled_features_is_the_network():
    network = small_cnn(num_classes=3, seed=1).network.eval()
    x = torch.rand(2, 3, 24, 24)
    with torch.inference_mode():
        assert torch.allclose(head_of(network)(pooled_features(network, x)), network(x))


def test_seed_decides_the_weights_and_leaves_the_global_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (small_cnn(num_classes=2, seed=seed).network for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.body[0][0].weight, again.body[0][0].weight)
    assert not torch.equal(first.body[0][0].weight, other.body[0][0].weight)


def test_full_policy_trains_everything():
    network = small_cnn(num_classes=2, seed=0).network
    policies.set_mode(network, policies.FULL.phases(network)[0])
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("wrong", [{"num_classes": 1}, {"num_classes": 2, "width": 0}])
def test_refuses_what_is_no_network(wrong):
    with pytest.raises(MedtlError, match="small_cnn"):
        small_cnn(**wrong)
