"""The interface: what it refuses, what it leaves as it was, and that batches change nothing."""

import gc

import pytest
import torch
from tiny_networks import Linear, TinyCNN
from torch import nn

from medtl_core.backbones.small_network import small_cnn
from medtl_core.backbones.zoo import build
from medtl_core.errors import MedtlError
from medtl_core.explanation import methods
from medtl_core.explanation.explaining import explain
from medtl_core.explanation.methods import METHODS, method_names


def images(n=3, size=64, seed=0):
    """Smooth blobs: superpixels exist."""
    coarse = torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (size, size), mode="bicubic")


SMALL = small_cnn(num_classes=3, seed=1, width=8).network
CHEAP = {
    **{key: {"layer": "body.1"} for key in ("grad_cam", "hires_cam", "score_cam")},
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 8},
    "occlusion": {"patch": 16, "stride": 16},
    "lime": {"samples": 40, "count": 9},
    "kernel_shap": {"samples": 120, "count": 36},
    "gradient_shap": {"samples": 3, "count": 9},
}


def hooks(network):
    """Everything that a method could leave behind on the modules."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in network.modules() for kind in kinds) + sum(
        "forward" in vars(m) for m in network.modules()
    )


def modes(network):
    return [module.training for module in network.modules()]


@pytest.mark.parametrize("method", method_names(controls=True))
def test_a_batch_gives_what_its_images_give_one_by_one(method):
    x, target, options = images(), torch.tensor([0, 2, 1]), CHEAP.get(method, {})
    batch = explain(SMALL, x, target, method, seed=4, **options)
    single = [explain(SMALL, x[i : i + 1], target[i : i + 1], method, seed=4, **options) for i in range(3)]
    split = explain(SMALL, x, target, method, seed=4, batch_size=2, **options)
    expected = torch.cat([one.maps for one in single])
    scale = float(expected.abs().max())
    assert scale > 0
    for found in (batch, split):
        assert found.maps.shape == (3, 64, 64)
        assert (found.maps - expected).abs().max() < 1e-4 * scale
    assert batch.signed == METHODS[method].signed
    assert batch.signed or batch.maps.min() >= 0
    again = explain(SMALL, x, target, batch.method, **batch.settings)
    assert torch.equal(again.maps, batch.maps)


@pytest.mark.parametrize("method", method_names(controls=True))
def test_the_network_comes_back_as_it_was(method):
    network = small_cnn(num_classes=3, seed=1, width=4).network
    network.train()
    network.body[1].eval()
    network.head.weight.requires_grad_(False)
    network.body[0][0].weight.grad = torch.ones_like(network.body[0][0].weight)
    before = modes(network), [p.requires_grad for p in network.parameters()], hooks(network)
    statistics = [buffer.clone() for buffer in network.buffers()]
    explain(network, images(2), 1, method, **CHEAP.get(method, {}))
    assert (modes(network), [p.requires_grad for p in network.parameters()], hooks(network)) == before
    assert all(torch.equal(a, b) for a, b in zip(statistics, network.buffers(), strict=True))
    assert torch.equal(network.body[0][0].weight.grad, torch.ones_like(network.body[0][0].weight))
    assert network.body[1][0].weight.grad is None


class Breaks(TinyCNN):
    """Fails at the second and later passes: the first one is the check of the target."""

    passes = 0

    def forward(self, x):
        super().forward(x)
        self.passes += 1
        if self.passes > 1:
            raise RuntimeError("broken")
        return super().forward(x)


@pytest.mark.parametrize("method", method_names())
def test_nothing_is_left_behind_after_an_exception(method):
    network = Breaks().train()
    options = {"layer": "second"} if "cam" in method else CHEAP.get(method, {})
    with pytest.raises(RuntimeError, match="broken"):
        explain(network, images(2), 1, method, **options)
    assert hooks(network) == 0
    assert all(modes(network))
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.slow
def test_no_tensor_outlives_the_explanation():
    def live():
        gc.collect()
        return sum(isinstance(each, torch.Tensor) for each in gc.get_objects())

    network, x = small_cnn(num_classes=3, seed=1, width=4).network, images(2)
    for method in method_names():
        explain(network, x, 1, method, **CHEAP.get(method, {}))
    before = live()
    for method in method_names():
        explain(network, x, 1, method, **CHEAP.get(method, {}))
    assert live() <= before


def test_the_same_seed_gives_the_same_map_and_the_global_state_is_left_alone():
    for name, method in METHODS.items():
        torch.manual_seed(0)
        state = torch.get_rng_state()
        first = explain(SMALL, images(1), 1, name, seed=5, **CHEAP.get(name, {})).maps
        assert torch.equal(first, explain(SMALL, images(1), 1, name, seed=5, **CHEAP.get(name, {})).maps)
        other = explain(SMALL, images(1), 1, name, seed=6, **CHEAP.get(name, {})).maps
        assert torch.equal(first, other) != method.seeded, name
        assert torch.equal(torch.get_rng_state(), state), name


def test_guided_backpropagation_differs_from_the_gradient_on_relu6_and_wants_a_rectifier():
    network, x = TinyCNN(nn.ReLU6()), images(2)
    network.last = nn.Identity()
    guided, plain = (explain(network, x, 1, m).maps for m in ("guided_backpropagation", "gradient"))
    assert (guided - plain).abs().max() > 0.1 * plain.abs().max()
    network.act = nn.SiLU()
    with pytest.raises(MedtlError, match=r"no nn\.ReLU or nn\.ReLU6"):
        explain(network, x, 1, "guided_backpropagation")


def test_guided_backpropagation_passes_positive_signals_only():
    """y = 2 relu(x1) - 3 relu6(x2): on paper, 2 and 0 where the rectifiers are open; ReLU6 shuts above 6."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.ReLU(), nn.ReLU6()

        def forward(self, x):
            a, b = x.flatten(1).T
            score = 2 * self.first(a) + 5 * self.second(b) - 3 * self.first(b)
            return torch.stack([-score, score], 1)

    x = torch.tensor([[[[1.0, 2.0]]], [[[-1.0, 7.0]]]])
    assert explain(Two(), x, 1, "guided_backpropagation").maps.flatten().tolist() == [2, 5, 0, 0]
    assert explain(Two(), x, 1, "gradient").maps.flatten().tolist() == [2, 2, 0, -3]
    assert explain(Two(), x, 0, "guided_backpropagation").maps.flatten().tolist() == [0, 3, 0, 3]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((images(2), 3, "gradient"), {}, "class 3 is asked for, expected one of 0 to 2"),
        ((images(2), torch.tensor([0, -1]), "gradient"), {}, "class -1 is asked for"),
        ((images(2), torch.tensor([0, 1, 2]), "gradient"), {}, "expected one class or one for each of the 2"),
        ((images(2)[0], 1, "gradient"), {}, r"expected floating-point images \(N, C, H, W\)"),
        ((images(2).byte(), 1, "gradient"), {}, "expected floating-point images"),
        ((images(2), 1, "gradcam"), {}, "method 'gradcam', expected one of gradient, "),
        ((images(2), 1, "gradient"), {"steps": 3}, "gradient has no option 'steps', expected one of: none"),
        ((images(2), 1, "gradient"), {"batch_size": 0}, "batch_size is 0"),
        ((images(2), 1, "smoothgrad"), {"samples": 0}, "smoothgrad: 0 samples"),
        ((images(2), 1, "integrated_gradients"), {"steps": 0}, "0 steps"),
        (
            (images(2), 1, "integrated_gradients"),
            {"baseline": "black"},
            "'black', expected one of zeros, mean",
        ),
        ((images(2), 1, "occlusion"), {"patch": 65}, "expected a patch of 1 to 64 px"),
        ((images(2), 1, "occlusion"), {"patch": 2, "stride": 3}, "a stride of 1 to the patch"),
        ((images(2), 1, "lime"), {"samples": 1}, "lime: 1 samples"),
        ((images(2), 1, "lime"), {"count": 1}, "superpixels: 1 asked for, expected 2 to 4096"),
        ((images(2), 1, "lime"), {"segments": torch.zeros(2, 8, 8, dtype=torch.long)}, "expected integers"),
        ((images(2), 1, "lime"), {"segments": torch.zeros(2, 64, 64, dtype=torch.long)}, "one region"),
        ((images(2), 1, "gradient_shap"), {"samples": 0}, "gradient_shap: 0 samples"),
        ((images(2), 1, "grad_cam"), {"layer": "body.9"}, "has no module 'body.9', expected a name such as"),
        ((images(2), 1, "grad_cam"), {"layer": "head"}, "gives no map"),
        (
            (images(2, 32), 1, "grad_cam"),
            {"layer": "body.2"},
            "a map of 4 x 4 cells, expected at least 8 x 8",
        ),
    ],
)
def test_what_is_refused_in_one_line(arguments, options, message):
    with pytest.raises(MedtlError, match=message) as caught:
        explain(SMALL, *arguments, **options)
    assert "\n" not in str(caught.value)
    assert hooks(SMALL) == 0


def test_networks_that_have_no_class_activation_map():
    with pytest.raises(MedtlError, match="Linear has no convolution"):
        explain(Linear(torch.ones(3, 16, 16)), images(1, 16), 1, "grad_cam")
    network = build("resnet18", num_classes=2, pretrained=False, seed=0).network
    with pytest.raises(MedtlError, match="first stage, expected at least 8 x 8"):
        explain(network, images(1, 16), 1, "grad_cam")
    with pytest.raises(MedtlError, match="name a layer, such as 'second'"):
        explain(TinyCNN(), images(1), 1, "grad_cam")
    with pytest.raises(MedtlError, match=r"the network gives \(1, 3, 64, 64\), expected logits"):
        explain(nn.Identity(), images(1), 1, "gradient")


def test_the_table_of_methods_holds_every_public_method():
    assert set(method_names()) < set(method_names(controls=True))
    assert {"random", "sobel", "centre"} == set(method_names(controls=True)) - set(method_names())
    assert methods.method_named("lime").baseline == "mean"
    assert METHODS["gradient"].baseline == ""
    assert not METHODS["gradient"].seeded
