import copy
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from medtl_core.backbones.zoo import Backbone, build, head_of
from medtl_core.data.tensors import DeviceDataset, Normalisation
from medtl_core.errors import MedtlError
from medtl_core.training import loop as fit_module
from medtl_core.training.features import FeatureSet, pooled_features
from medtl_core.training.loop import FitConfig, fit, predict
from medtl_core.training.policies import FULL, LINEAR_PROBE, PROBE_THEN_FULL, SCRATCH

NORMALISATION = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SIZE = 16
CPU = torch.device("cpu")


def images(n: int, seed: int = 0, size: int = SIZE) -> DeviceDataset:
    """Class 1 is brighter in the middle: easy for a small network."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.randint(0, 100, (n, 3, size, size), generator=generator)
    x[labels == 1, :, size // 4 : -size // 4, size // 4 : -size // 4] += 60
    return DeviceDataset(x.to(torch.uint8), labels)


def network(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(4, 2),
        )


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("resnet18", num_classes=2, pretrained=False, small_input=True, seed=0)


def train(net=None, *, policy=SCRATCH, data=None, val=None, seed=0, **config):
    net = net or network()
    config = FitConfig(**{"epochs": 3, "batch_size": 8, **config})
    return net, fit(net, policy, data or images(32), val or images(16, 1), NORMALISATION, config, seed=seed)


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([w.detach().double().flatten() for w in net.state_dict().values()])


def test_a_small_network_learns():
    net, result = train(epochs=30, learning_rate=0.02)
    assert result.history[-1]["train_loss"] < 0.5 * result.history[0]["train_loss"]
    assert max(h["val_auroc"] for h in result.history) > 0.95
    scores = predict(net, images(40, 2), NORMALISATION)
    assert (scores.argmax(1) == images(40, 2).labels.numpy()).mean() > 0.9


def test_history_counts_epochs_and_updates():
    _, result = train(data=images(20))
    assert [h["epoch"] for h in result.history] == [1, 2, 3]
    assert set(result.history[0]) == {"epoch", "train_loss", "train_accuracy", "val_loss", "val_auroc"}
    assert result.steps == 3 * 3  # 8 + 8 + 4
    assert result.seconds > 0


def test_the_first_update_is_that_of_adamw_written_out():
    """AdamW's first step is the learning rate times the gradient's sign, after weight decay."""
    before = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2))
    net = copy.deepcopy(before)
    data = images(8)
    rate, decay = 0.01, 0.1
    x = data.inputs(torch.arange(8), NORMALISATION)
    nn.functional.cross_entropy(before(x), data.labels).backward()
    train(net, data=data, epochs=1, learning_rate=rate, weight_decay=decay)
    for name, old in before.named_parameters():
        shrunk = old * (1 - rate * decay) if old.ndim > 1 else old
        step = rate * old.grad / (old.grad.abs() + 1e-8)
        torch.testing.assert_close(net.get_parameter(name), shrunk - step, rtol=1e-4, atol=1e-5)


def test_schedule_is_a_warm_up_and_a_cosine():
    rates = [fit_module._rate(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert np.all(np.diff(rates[:11]) > 0)
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
    assert fit_module._rate(0, 10, 0.0) == 1.0
    assert max(rates) == 1.0


def test_the_loop_follows_the_schedule(monkeypatch):
    used = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        used.append({group["lr"] for group in self.param_groups})
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(epochs=2, learning_rate=0.1)
    expected = [0.1 * 0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(8)]
    assert [rates.pop() for rates in used] == pytest.approx(expected)


def test_one_seed_gives_bit_identical_weights_and_history():
    one, first = train(network(dropout=0.5), data=images(20))
    torch.rand(1)  # the global state does not matter
    two, second = train(network(dropout=0.5), data=images(20))
    assert torch.equal(weights(one), weights(two))
    assert first.history == second.history
    other, _ = train(network(dropout=0.5), data=images(20), seed=1)
    assert not torch.equal(weights(other), weights(one))


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(network(dropout=0.5))
    assert torch.equal(torch.rand(3), expected)


def test_batches_cover_every_case_once_and_a_last_batch_of_one_is_left_out():
    order = torch.Generator().manual_seed(0)
    batches = fit_module._batches(20, 8, order, CPU)
    assert [len(batch) for batch in batches] == [8, 8, 4]
    assert sorted(torch.cat(batches).tolist()) == list(range(20))
    assert [len(batch) for batch in fit_module._batches(17, 8, order, CPU)] == [8, 8]
    assert [len(batch) for batch in fit_module._batches(2, 8, order, CPU)] == [2]
    _, result = train(data=images(17))
    assert result.steps == 3 * 2


def test_training_loss_weighs_an_uneven_batch_by_its_size():
    """At a learning rate of nearly 0 and without batch norm the mean is the loss on the whole set."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2))
    data = images(20)
    logits = net(data.inputs(slice(None), NORMALISATION))
    expected = nn.functional.cross_entropy(logits, data.labels).item()
    right = (logits.argmax(1) == data.labels).float().mean().item()
    _, result = train(net, data=data, epochs=1, learning_rate=1e-12)
    assert result.history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert result.history[0]["train_accuracy"] == right


def test_the_epoch_of_lowest_loss_is_restored():
    net, result = train(epochs=12, learning_rate=0.3, best_by="val_loss")
    losses = [h["val_loss"] for h in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    val = images(16, 1)
    scores = predict(net, val, NORMALISATION)
    loss = -np.log(scores[np.arange(16), val.labels.numpy()]).mean()
    assert loss == pytest.approx(min(losses), rel=1e-6)
    assert result.best_epoch < 12  # else the test shows nothing


def test_the_epoch_of_highest_auroc_is_restored():
    net, result = train(epochs=12, learning_rate=0.3)
    aurocs = [h["val_auroc"] for h in result.history]
    val = images(16, 1)
    scores = predict(net, val, NORMALISATION)
    assert roc_auc_score(val.labels.numpy(), scores[:, 1]) == pytest.approx(max(aurocs), abs=1e-6)
    assert result.best["val_auroc"] == max(aurocs)
    assert len(set(aurocs)) > 1  # else the test shows nothing


@pytest.mark.parametrize(
    ("best_by", "expected"),
    [("val_auroc", 4), ("val_loss", 1)],
)
def test_a_network_that_ranks_well_and_is_too_sure_is_no_worse_than_an_untrained_one(
    monkeypatch, best_by, expected
):
    seen = iter([(0.6, 0.5), (0.9, 0.7), (1.5, 0.8), (1.4, 0.8), (1.6, 0.8)])
    monkeypatch.setattr(fit_module, "_validate", lambda *_: next(seen))
    _, result = train(epochs=5, best_by=best_by)
    assert result.best_epoch == expected


def test_patience_ends_training(monkeypatch):
    losses = iter([1.0, 0.9, 0.95, 0.9, 0.91, 0.1, 0.1])
    monkeypatch.setattr(fit_module, "_validate", lambda *_: (next(losses), 0.5))
    _, result = train(epochs=7, patience=3)
    assert len(result.history) == 5
    assert result.best_epoch == 2


def test_a_frozen_backbone_stands_still_and_its_head_trains(backbone):
    net = copy.deepcopy(backbone.network)
    before = copy.deepcopy(net.state_dict())
    train(net, policy=LINEAR_PROBE, epochs=1)
    head = {f"fc.{name}" for name, _ in head_of(net).named_parameters()}
    for name, after in net.state_dict().items():
        assert torch.equal(after, before[name]) == (name not in head), name


@pytest.mark.slow
def test_phases_share_the_epochs_and_the_second_starts_from_the_best_of_the_first(backbone, monkeypatch):
    net = copy.deepcopy(backbone.network)
    frozen_weight = net.conv1.weight.detach().clone()
    modes = []
    set_mode = fit_module.set_mode

    def spy(network, phase):
        modes.append((phase.frozen, torch.equal(network.conv1.weight, frozen_weight)))
        set_mode(network, phase)

    monkeypatch.setattr(fit_module, "set_mode", spy)
    _, result = train(net, policy=PROBE_THEN_FULL, epochs=3, data=images(16))
    assert modes == [(("",), True), (("",), True), ((), True)]
    assert len(result.history) == 3
    assert not torch.equal(net.conv1.weight, frozen_weight) or result.best_epoch < 3
    with pytest.raises(MedtlError, match="1 epochs for 2 phases"):
        train(net, policy=PROBE_THEN_FULL, epochs=1)


@pytest.mark.slow
def test_a_linear_probe_on_features_equals_one_on_the_network(backbone):
    data, val = images(24), images(16, 1)
    config = FitConfig(epochs=3, batch_size=8, learning_rate=0.01)
    whole = copy.deepcopy(backbone.network)
    result = fit(whole, LINEAR_PROBE, data, val, backbone.normalisation, config, seed=5)
    head = copy.deepcopy(head_of(backbone.network))
    features, val_features = (FeatureSet.of(backbone, part) for part in (data, val))
    again = fit(head, SCRATCH, features, val_features, None, config, seed=5)
    torch.testing.assert_close(head.weight, head_of(whole).weight, rtol=1e-3, atol=1e-5)
    for one, other in zip(result.history, again.history, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    subset = features.select(np.array([7, 3, 5]))
    assert len(subset) == 3
    assert torch.equal(subset.inputs(slice(1, 3)), features.features[[3, 5]])
    assert torch.equal(subset.labels, data.labels[[7, 3, 5]])


def test_features_are_those_of_one_forward_pass_in_evaluation_mode(backbone):
    data = images(10)
    net = backbone.network.train()
    features = pooled_features(backbone, data, batch_size=4)
    assert net.training
    assert not features.requires_grad
    net.eval()
    logits = head_of(net)(features)
    torch.testing.assert_close(
        logits, net(data.inputs(slice(None), backbone.normalisation)), rtol=1e-4, atol=1e-4
    )


def test_prediction_is_one_soft_max_and_restores_every_module():
    net = network(dropout=0.5)
    net[1].eval()
    modes = [module.training for module in net.modules()]
    statistics = net[1].running_mean.clone()
    data = images(11)
    scores = predict(net, data, NORMALISATION, batch_size=4)
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(net[1].running_mean, statistics)
    assert scores.dtype == np.float64
    assert scores.shape == (11, 2)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-12)
    net.eval()
    logits = net(data.inputs(slice(None), NORMALISATION)).detach().double().numpy()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_augmentation_changes_training_and_is_drawn_from_the_seed():
    (one, _), (two, _), (plain, _) = train(augment=True), train(augment=True), train()
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(plain))


def test_without_movement_augmented_batches_are_the_plain_ones(monkeypatch):
    monkeypatch.setattr(fit_module, "augment_affine", lambda x, *_, **__: x)
    normalisation = Normalisation((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    data, index = images(6), torch.tensor([4, 1])
    one, other = (
        fit_module._training_batch(data, index, normalisation, warp)[0] for warp in (None, torch.Generator())
    )
    torch.testing.assert_close(one, other)


def test_augmentation_needs_images():
    features = FeatureSet(torch.rand(8, 4), torch.arange(8) % 2)
    with pytest.raises(MedtlError, match="augmentation needs images"):
        fit(nn.Linear(4, 2), FULL, features, features, None, FitConfig(augment=True), seed=0)


class Explodes(nn.Module):
    """Gives NaN from the given call in training mode on."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIZE * SIZE, 2)
        self.left = call

    def forward(self, x):
        self.left -= self.training
        return self.head(x.flatten(1)) * (math.nan if self.left <= 0 else 1.0)


def test_a_loss_that_is_not_finite_is_named_by_epoch_and_step():
    with pytest.raises(MedtlError, match="loss is nan in epoch 2, step 3 of 4") as error:
        train(Explodes(call=7))
    assert "\n" not in str(error.value)


def test_a_validation_loss_that_is_not_finite_is_an_error():
    class Broken(Explodes):
        def forward(self, x):
            return self.head(x.flatten(1)) * (1.0 if self.training else math.inf)

    with pytest.raises(MedtlError, match="validation loss is nan after epoch 1"):
        train(Broken(100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": images(1)}, "1 training and 16 validation cases"),
        (
            {"data": DeviceDataset(images(8).images, torch.arange(8) % 3)},
            "label is 2, but the network has 2 outputs",
        ),
        ({"batch_size": 1}, "batch_size is 1, expected at least 2"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"patience": 0}, "patience is 0"),
        ({"best_by": "auroc"}, "best_by is auroc"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(MedtlError, match=message):
        train(**arguments)
