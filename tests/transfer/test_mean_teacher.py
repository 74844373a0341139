"""The mean teacher against its equations in NumPy, and on a problem that few labels cannot solve."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.transfer.mean_teacher import (
    MeanTeacherConfig,
    consistency_cost,
    gaussian_noise,
    ramp_up_weight,
    train_mean_teacher,
)


def as_is(x, generator):
    return x


def feature_set(features, labels=None):
    labels = np.zeros(len(features)) if labels is None else labels
    return FeatureSet(
        torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(labels, dtype=torch.int64)
    )


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_consistency_cost_is_the_mean_squared_difference_of_soft_max():
    a, b = np.random.default_rng(0).normal(size=(2, 7, 3))
    found = consistency_cost(torch.from_numpy(a), torch.from_numpy(b))
    assert float(found) == pytest.approx(((softmax(a) - softmax(b)) ** 2).mean(), rel=1e-10)


def test_no_gradient_reaches_the_teacher():
    student, teacher = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    consistency_cost(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_ramp_up_rises_from_exp_minus_5_to_1():
    weights = [ramp_up_weight(step, 40) for step in range(60)]
    assert weights[0] == pytest.approx(math.exp(-5))
    assert weights[20] == pytest.approx(math.exp(-5 / 4))
    assert np.all(np.diff(weights[:41]) > 0)
    assert weights[40:] == [1.0] * 20
    assert ramp_up_weight(0, 0) == 1.0


def test_the_teacher_is_the_moving_average_of_the_students(monkeypatch):
    students = []
    step = torch.optim.AdamW.step

    def remembered(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        students.append(self.param_groups[0]["params"][0].detach().clone().numpy())
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", remembered)
    rng = np.random.default_rng(1)
    data = feature_set(rng.normal(size=(20, 4)), rng.integers(0, 2, 20))
    config = MeanTeacherConfig(steps=7, batch_size=5, ema_decay=0.8)
    result = train_mean_teacher(
        nn.Linear(4, 2), data, data, None, config, perturb=gaussian_noise(0.1), seed=0
    )
    average = students[0]
    for student in students[1:]:
        average = 0.8 * average + 0.2 * student
    assert len(students) == 7
    assert np.allclose(result.teacher.weight.detach().numpy(), average, atol=1e-6)
    assert not np.allclose(average, students[-1], atol=1e-4)


def test_without_consistency_the_unlabelled_cases_do_not_count():
    rng = np.random.default_rng(2)
    labelled = feature_set(rng.normal(size=(12, 3)), rng.integers(0, 2, 12))
    torch.manual_seed(0)
    start = nn.Linear(3, 2)
    weights = []
    for pool, consistency in ((0.0, 0.0), (5.0, 0.0), (5.0, 10.0)):
        network = copy.deepcopy(start)
        unlabelled = feature_set(rng.normal(pool, 1, size=(30, 3)))
        config = MeanTeacherConfig(steps=20, consistency=consistency)
        train_mean_teacher(network, labelled, unlabelled, None, config, perturb=gaussian_noise(0.5), seed=3)
        weights.append(network.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[1], weights[2], atol=1e-4)


def test_labels_of_the_unlabelled_cases_are_never_read():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(30, 3)), rng.integers(0, 2, 30)
    torch.manual_seed(0)
    start, found = nn.Linear(3, 2), []
    for labels in (y, np.full(30, 99)):
        network = copy.deepcopy(start)
        config = MeanTeacherConfig(steps=15)
        train_mean_teacher(
            network, feature_set(x[:6], y[:6]), feature_set(x, labels), None, config, perturb=as_is, seed=1
        )
        found.append(network.weight.detach())
    assert torch.equal(*found)


def test_same_seed_same_teacher_and_the_global_state_is_left_alone():
    rng = np.random.default_rng(5)
    data = feature_set(rng.normal(size=(20, 4)), rng.integers(0, 2, 20))
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    state = torch.get_rng_state()
    runs = [
        train_mean_teacher(
            copy.deepcopy(network),
            data,
            data,
            None,
            MeanTeacherConfig(steps=9),
            perturb=gaussian_noise(0.1),
            seed=s,
        )
        for s in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert runs[0].history == runs[1].history != runs[2].history
    assert not runs[0].teacher.training
    assert len(runs[0].history) == 9


@pytest.mark.slow
def test_unlabelled_cases_carry_two_labels_round_two_moons():
    from sklearn.datasets import make_moons

    x, y = make_moons(400, noise=0.08, random_state=0)
    known = np.concatenate([np.flatnonzero(y == k)[:4] for k in (0, 1)])
    accuracy = {}
    for consistency in (0.0, 30.0):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 2))
        config = MeanTeacherConfig(steps=800, batch_size=64, consistency=consistency)
        result = train_mean_teacher(
            network,
            feature_set(x[known], y[known]),
            feature_set(x),
            None,
            config,
            perturb=gaussian_noise(0.15),
            seed=0,
        )
        told = result.teacher(torch.as_tensor(x, dtype=torch.float32)).argmax(1).numpy()
        accuracy[consistency] = (told == y).mean()
    assert accuracy[30.0] > accuracy[0.0] + 0.02


def test_bad_arguments():
    with pytest.raises(MedtlError, match=r"ema_decay is 1\.0, expected from 0 to below 1"):
        MeanTeacherConfig(ema_decay=1.0)
    empty, some = feature_set(np.zeros((0, 2))), feature_set(np.zeros((3, 2)))
    with pytest.raises(MedtlError, match="0 labelled and 3 unlabelled"):
        train_mean_teacher(nn.Linear(2, 2), empty, some, None, MeanTeacherConfig(), perturb=as_is, seed=0)
    endless = feature_set(np.full((3, 2), np.inf))
    with pytest.raises(MedtlError, match="loss is nan at step 1"):
        train_mean_teacher(nn.Linear(2, 2), endless, some, None, MeanTeacherConfig(), perturb=as_is, seed=0)
