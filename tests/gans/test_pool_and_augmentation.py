"""The image pool, differentiable augmentation, moving average and learning-rate schedule."""

import pytest
import torch
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.gans.differentiable import augment_differentiably
from medtl_core.gans.image_pool import ImagePool
from medtl_core.gans.loops.optimisation import frozen, linear_decay, moving_average


def numbered(start, count):
    return torch.arange(start, start + count).float().view(-1, 1, 1, 1)


def test_the_pool_keeps_its_size_and_gives_back_half_of_what_is_old():
    pool, draw = ImagePool(50), torch.Generator().manual_seed(0)
    assert torch.equal(pool.exchange(numbered(0, 50), draw), numbered(0, 50))
    old = 0
    for round_ in range(1, 41):
        new = numbered(50 * round_, 50)
        given = pool.exchange(new, draw)
        old += int((given != new).sum())
        assert len(pool.images) == 50
    assert old / 2000 == pytest.approx(0.5, abs=0.04)


def test_every_image_is_somewhere_and_none_twice():
    pool, draw = ImagePool(5), torch.Generator().manual_seed(0)
    given = torch.cat([pool.exchange(numbered(4 * k, 4), draw) for k in range(6)]).flatten().tolist()
    last = [float(image) for image in pool.images]
    # The first five were given when they came and may be given once more; others once, or still wait.
    assert set(given) | set(last) == set(map(float, range(24)))
    assert len(last) == len(set(last))


def test_a_pool_of_none_gives_the_batch_back_without_gradient():
    x = numbered(0, 3).requires_grad_()
    given = ImagePool(0).exchange(x, torch.Generator())
    assert torch.equal(given, x)
    assert not given.requires_grad
    with pytest.raises(MedtlError, match="size -1"):
        ImagePool(-1)


def test_augmentation_is_a_mirror_a_shift_and_a_brightness():
    x = torch.rand(64, 2, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    changed = augment_differentiably(x, torch.Generator().manual_seed(1))
    assert changed.shape == x.shape
    mirrored, shifts = 0, set()
    for before, after in zip(x, changed, strict=True):
        matches = []
        for flip in (False, True):
            source = before.flip(-1) if flip else before
            for down in range(-2, 3):
                for right in range(-2, 3):
                    moved = source.roll((-down, -right), (1, 2))
                    inner = (slice(None), slice(2, -2), slice(2, -2))
                    brightness = (after - moved)[inner]
                    if brightness.std() < 1e-5:
                        matches.append((flip, down, right, brightness.mean().item()))
        ((flip, down, right, brightness),) = matches
        assert abs(brightness) <= 0.25
        edge = after[:, -down:] if down > 0 else after[:, :-down]
        if down:
            assert torch.all(edge == -1)
        mirrored += flip
        shifts |= {down, right}
    assert 20 <= mirrored <= 44
    assert shifts == {-2, -1, 0, 1, 2}


def test_gradients_pass_through_the_augmentation():
    x = torch.zeros(3, 1, 16, 16, requires_grad=True)
    augment_differentiably(x, torch.Generator().manual_seed(0)).sum().backward()
    assert 14 * 14 * 3 <= x.grad.sum() <= 16 * 16 * 3
    assert set(x.grad.unique().tolist()) <= {0.0, 1.0}


def test_the_moving_average_on_paper():
    network = nn.Linear(1, 1, bias=False)
    average = moving_average(network, 0.75)
    for value, expected in ((1.0, 1.0), (2.0, 1.25), (2.0, 1.4375)):
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        assert average.module.weight.item() == pytest.approx(expected)
    assert not average.module.weight.requires_grad
    assert not average.module.training


def test_the_learning_rate_stays_for_half_and_then_falls_to_0():
    weight = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=2.0)
    schedule = linear_decay(optimiser, 8)
    rates = []
    for _ in range(8):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx([2, 2, 2, 2, 2, 1.5, 1, 0.5])
    assert optimiser.param_groups[0]["lr"] == 0


def test_frozen_networks_pass_gradients_and_keep_none():
    network, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        network(x).sum().backward()
    assert network.weight.grad is None
    assert torch.equal(x.grad, network.weight)
    assert network.weight.requires_grad
