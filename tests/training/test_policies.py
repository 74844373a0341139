"""What trains and what stands still: counts on paper for ResNet-18, and bit-identity after training steps."""

import pickle

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medtl_core.backbones.stages import cut_points, prefix, stage_names
from medtl_core.backbones.zoo import build, pooled_features
from medtl_core.errors import MedtlError
from medtl_core.training.policies import (
    FULL,
    LINEAR_PROBE,
    PROBE_THEN_FULL,
    SCRATCH,
    Phase,
    Policy,
    discriminative,
    last_stages,
    optimizer_groups,
    policy_named,
    set_mode,
)

HEAD = 512 * 2 + 2
# two residual blocks of two 3 x 3 convolutions and norms; a 1 x 1 shortcut and its norm from layer 2 on
LAYER1 = 4 * 64 * 64 * 9 + 4 * 2 * 64
LAYER3 = (128 + 3 * 256) * 256 * 9 + 128 * 256 + 5 * 2 * 256
LAYER4 = (256 + 3 * 512) * 512 * 9 + 256 * 512 + 5 * 2 * 512
BACKBONE = 11_176_512


def resnet18() -> nn.Module:
    return build("resnet18", num_classes=2, pretrained=False, seed=3).network


def train_steps(network: nn.Module, phase: Phase, images: Tensor, steps: int = 2) -> None:
    labels = torch.tensor([0, 1])
    optimizer = torch.optim.AdamW(optimizer_groups(network, phase, 1e-2, 0.1))
    for _ in range(steps):
        set_mode(network, phase)
        optimizer.zero_grad()
        F.cross_entropy(network(images[..., :32, :32]), labels).backward()
        optimizer.step()


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {key for key, tensor in network.state_dict().items() if not torch.equal(before[key], tensor)}


@pytest.mark.parametrize(
    ("policy", "trainable"),
    [
        (SCRATCH, BACKBONE + HEAD),
        (FULL, BACKBONE + HEAD),
        (LINEAR_PROBE, HEAD),
        (last_stages(1), LAYER4 + HEAD),
        (last_stages(2), LAYER3 + LAYER4 + HEAD),
        (last_stages(5), BACKBONE + HEAD),
        (discriminative(), BACKBONE + HEAD),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_parameters_that_train_on_paper(policy: Policy, trainable: int) -> None:
    network = resnet18()
    (phase,) = policy.phases(network)
    set_mode(network, phase)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trainable
    groups = optimizer_groups(network, phase, 1e-3, 1e-4)
    assert sum(p.numel() for group in groups for p in group["params"]) == trainable
    assert phase.share == 1.0


def test_layer_counts_on_paper() -> None:
    network = resnet18()
    counts = [sum(p.numel() for p in network.get_submodule(f"layer{i}").parameters()) for i in (1, 3, 4)]
    assert counts == [LAYER1, LAYER3, LAYER4] == [147_968, 2_099_712, 8_393_728]


def test_linear_probe_changes_nothing_but_the_head(images: Tensor) -> None:
    network = resnet18()
    before = copied(network)
    train_steps(network, LINEAR_PROBE.phases(network)[0], images)
    assert changed(network, before) == {"fc.weight", "fc.bias"}


def test_last_stage_leaves_the_others_bit_identical(images: Tensor) -> None:
    network = resnet18()
    before = copied(network)
    train_steps(network, last_stages(1).phases(network)[0], images)
    different = changed(network, before)
    assert different
    assert all(key.startswith(("layer4.", "fc.")) for key in different)
    # what trains keeps its batch norm in training mode
    assert {"layer4.1.bn2.running_mean", "layer4.1.bn2.weight", "layer4.0.conv1.weight"} <= different


def test_full_fine_tuning_changes_everything(images: Tensor) -> None:
    network = resnet18()
    before = copied(network)
    train_steps(network, FULL.phases(network)[0], images)
    assert changed(network, before) == set(before)


def test_frozen_dense_layers_and_blocks_stand_still(images: Tensor) -> None:
    for name in ("densenet121", "mobilenetv2_100"):
        network = build(name, num_classes=2, pretrained=False, seed=3).network
        before = copied(network)
        train_steps(network, last_stages(2).phases(network)[0], images, steps=1)
        late = tuple(f"{path}." for stage in stage_names(network)[-2:] for path in stage)
        different = changed(network, before)
        assert different
        assert all(key.startswith((*late, "classifier.")) for key in different)


@pytest.mark.slow
@torch.no_grad()
def test_frozen_dropout_stands_still(images: Tensor) -> None:
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=2, drop_rate=0.5, drop_path_rate=0.5)
    set_mode(network, FULL.phases(network)[0])
    assert not torch.equal(pooled_features(network, images), pooled_features(network, images))
    set_mode(network, LINEAR_PROBE.phases(network)[0])
    assert torch.equal(pooled_features(network, images), pooled_features(network, images))
    set_mode(network, last_stages(3).phases(network)[0])
    frozen = prefix(network, cut_points(network, "stage")[-4])
    assert torch.equal(frozen(images), frozen(images))
    whole = prefix(network, cut_points(network)[-1])
    assert not torch.equal(whole(images), whole(images))


@pytest.mark.slow
def test_probe_then_full_trains_the_head_first(images: Tensor) -> None:
    network = resnet18()
    probe, full = PROBE_THEN_FULL.phases(network)
    assert probe.share + full.share == 1.0
    before = copied(network)
    train_steps(network, probe, images)
    assert changed(network, before) == {"fc.weight", "fc.bias"}
    before = copied(network)
    train_steps(network, full, images)
    assert changed(network, before) == set(before)


def test_discriminative_rates_fall_by_2_6_per_stage() -> None:
    network = resnet18()
    (phase,) = discriminative().phases(network)
    rate = {name: group["lr_scale"] for group in phase.param_groups for name in group["params"]}
    assert rate["fc.weight"] == rate["fc.bias"] == 1.0
    assert rate["layer4.0.conv1.weight"] == pytest.approx(0.38461538)
    assert rate["layer3.1.bn2.weight"] == pytest.approx(0.14792899)
    assert rate["conv1.weight"] == rate["bn1.bias"] == pytest.approx(1 / 2.6**5)
    groups = optimizer_groups(network, phase, 1e-3, 1e-4)
    assert max(group["lr"] for group in groups) == 1e-3
    assert min(group["lr"] for group in groups) == pytest.approx(1e-3 / 2.6**5)


def test_norms_and_biases_take_no_weight_decay() -> None:
    network = resnet18()
    (phase,) = FULL.phases(network)
    decayed = {name for group in phase.param_groups if group["decay"] for name in group["params"]}
    weights = {
        f"{path}.weight" for path, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }
    assert decayed == weights
    assert {group["weight_decay"] for group in optimizer_groups(network, phase, 1e-3, 0.3)} == {0.0, 0.3}


def test_gradients_of_frozen_parameters_are_dropped(images: Tensor) -> None:
    network = resnet18()
    network(images).sum().backward()
    set_mode(network, LINEAR_PROBE.phases(network)[0])
    assert network.get_parameter("conv1.weight").grad is None
    assert network.get_parameter("fc.weight").grad is not None


@pytest.mark.parametrize(
    "name",
    [
        "scratch",
        "linear_probe",
        "full",
        "probe_then_full",
        "last_stages_2",
        "discriminative",
        "discriminative_0.5",
    ],
)
def test_policies_have_names_and_survive_pickling(name: str) -> None:
    policy = pickle.loads(pickle.dumps(policy_named(name)))
    assert policy.name == name
    assert policy.pretrained == (name != "scratch")
    network = resnet18()
    assert policy.phases(network) == policy_named(name).phases(network)


def test_refusals_are_one_line() -> None:
    network = resnet18()
    for call, said in (
        (lambda: policy_named("fine_tune"), "linear_probe.*last_stages_K"),
        (lambda: policy_named("last_stages_0"), "at least 1"),
        (lambda: policy_named("discriminative_1.5"), "at most 1"),
        (lambda: last_stages(6).phases(network), "5 stages"),
        (lambda: last_stages(1).phases(nn.Linear(2, 2)), "Linear"),
        (lambda: LINEAR_PROBE.phases(nn.Conv2d(3, 2, 1)), "linear head"),
    ):
        with pytest.raises(MedtlError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)
