"""Losses of GANs against closed forms, sums on paper and finite differences."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from medtl_core.errors import MedtlError
from medtl_core.gans import losses

REAL = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
FAKE = torch.tensor([-0.4, 0.9], dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


EXPECTED = {
    "minimax": (
        lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda f: np.log(1 - sigmoid(f)).mean(),
    ),
    "non_saturating": (
        lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        lambda f: -np.log(sigmoid(f)).mean(),
    ),
    "least_squares": (lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(), lambda f: ((f - 1) ** 2).mean()),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
}


@pytest.mark.parametrize("name", losses.adversarial_names())
def test_adversarial_losses_are_their_formulas(name):
    loss, (discriminator, generator) = losses.adversarial_loss(name), EXPECTED[name]
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator(REAL.numpy(), FAKE.numpy()))
    assert loss.generator(FAKE).item() == pytest.approx(generator(FAKE.numpy()))


@pytest.mark.parametrize("name", losses.adversarial_names())
def test_adversarial_gradients_are_finite_differences(name):
    loss = losses.adversarial_loss(name)
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake,))


def test_the_non_saturating_loss_pulls_where_the_minimax_loss_is_flat():
    sure = torch.tensor([-20.0], requires_grad=True)
    slopes = [
        torch.autograd.grad(losses.adversarial_loss(name).generator(sure), sure)[0].item()
        for name in ("minimax", "non_saturating")
    ]
    assert abs(slopes[0]) < 1e-8
    assert slopes[1] == pytest.approx(-1)


def test_losses_stay_finite_for_sure_discriminators():
    sure = torch.tensor([1e4, -1e4])
    for name in ("minimax", "non_saturating"):
        loss = losses.adversarial_loss(name)
        assert torch.isfinite(loss.discriminator(sure, sure))
        assert torch.isfinite(loss.generator(sure))


def test_an_unknown_loss_is_refused():
    with pytest.raises(MedtlError, match=r"found 'relativistic', expected one of minimax"):
        losses.adversarial_loss("relativistic")


def test_gradient_penalty_of_a_linear_critic():
    weights = torch.tensor([3.0, 4.0, 0.0, 0.0])
    real, fake = torch.zeros(5, 1, 2, 2), torch.ones(5, 1, 2, 2)
    draw = torch.Generator().manual_seed(0)
    penalty = losses.gradient_penalty(lambda x: x.flatten(1) @ weights, real, fake, draw)
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    assert losses.r1_penalty(lambda x: x.flatten(1) @ weights, real).item() == pytest.approx(25 / 2)


def test_gradient_penalty_looks_between_real_and_generated():
    """D(x) = |x|^2 / 2 has the gradient x: between 0 and 1, uniform points u give E (u - 1)^2 = 1/3."""
    real, fake = torch.zeros(20_000, 1), torch.ones(20_000, 1)
    draw = torch.Generator().manual_seed(0)
    penalty = losses.gradient_penalty(lambda x: x.square().sum(1) / 2, real, fake, draw)
    assert penalty.item() == pytest.approx(1 / 3, abs=0.01)


def test_gradient_penalty_is_the_mean_over_patches_and_can_be_differentiated():
    """A patch critic of 4 logits w x each: the mean has the slope w / 2 in norm (4 pixels of w / 4 each)."""
    weight = torch.tensor(3.0, requires_grad=True)
    real = torch.zeros(2, 1, 2, 2)
    penalty = losses.gradient_penalty(lambda x: weight * x, real, real + 1, torch.Generator().manual_seed(0))
    assert penalty.item() == pytest.approx((1.5 - 1) ** 2)
    penalty.backward()
    assert weight.grad.item() == pytest.approx(2 * (1.5 - 1) * 0.5)


def test_gradient_penalty_refuses_unequal_batches():
    with pytest.raises(MedtlError, match="expected the same shape"):
        losses.gradient_penalty(lambda x: x, torch.zeros(2, 1), torch.zeros(3, 1), torch.Generator())


def test_the_class_term_is_cross_entropy_on_paper():
    """Odds 1:3 and 1:1 make the labels 3/4 and 1/2 probable; a second soft-max gives another value."""
    logits = torch.tensor([[0.0, math.log(3)], [0.5, 0.5]])
    loss = losses.auxiliary_class_loss(logits, torch.tensor([1, 0]))
    assert loss.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2)) / 2)


def test_translation_losses_on_paper():
    x, y = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    assert losses.reconstruction_loss(x + 0.25, x).item() == pytest.approx(0.25)
    assert losses.cycle_loss(x, x + 0.5, y, y - 0.25).item() == pytest.approx(0.75)
    assert losses.identity_loss(x, x - 0.1, y, y + 0.3).item() == pytest.approx(0.4)


def test_the_cycle_of_identity_generators_is_zero():
    x, y = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    g = f = nn.Identity()
    assert losses.cycle_loss(x, f(g(x)), y, g(f(y))).item() == 0
    assert losses.identity_loss(x, f(x), y, g(y)).item() == 0


def test_attention_is_supervised_on_annotated_images_alone():
    maps = torch.full((3, 1, 2, 2), 0.5)
    masks = torch.zeros(3, 1, 2, 2)
    masks[0] = 1
    masks[1, 0, 0, 0] = 1
    masks[2] = 100
    annotated = torch.tensor([True, True, False])
    assert losses.attention_supervision(maps, masks, annotated).item() == pytest.approx(0.5)
    maps[0] = 0.9
    assert losses.attention_supervision(maps, masks, annotated).item() == pytest.approx((0.1 + 0.5) / 2)
    assert losses.attention_supervision(maps, masks, torch.zeros(3, dtype=torch.bool)).item() == 0
    with pytest.raises(MedtlError, match="expected equal shapes"):
        losses.attention_supervision(maps, masks[:2], annotated)


def test_attention_agreement_and_sparsity_are_means():
    maps = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1)
    assert losses.attention_sparsity(maps).item() == pytest.approx(0.4)
    assert losses.attention_agreement(maps, torch.zeros_like(maps) + 0.5).item() == pytest.approx(0.2)


def test_the_value_of_the_game_in_closed_form():
    x = np.linspace(-12, 12, 4801)
    width = np.full_like(x, x[1] - x[0])
    p = norm.pdf(x)
    assert losses.game_value(p, p, width) == pytest.approx(-math.log(4), abs=1e-6)
    assert losses.game_value(norm.pdf(x, -5, 0.2), norm.pdf(x, 5, 0.2), width) == pytest.approx(0, abs=1e-6)
    q = norm.pdf(x, 1.5)
    mixture = (p + q) / 2
    jensen_shannon = 0.5 * ((p * np.log(p / mixture) + q * np.log(q / mixture)) * width).sum()
    assert losses.game_value(p, q, width) == pytest.approx(2 * jensen_shannon - math.log(4), abs=1e-6)
    with pytest.raises(MedtlError, match="both densities are 0"):
        losses.optimal_discriminator([0, 1], [0, 1])
    with pytest.raises(MedtlError, match="at least 0"):
        losses.optimal_discriminator([-1, 1], [0, 1])


def test_training_recovers_the_optimal_discriminator():
    """One logit per cell of a histogram is a discriminator without a shape of its own."""
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.4, 0.3, 0.2, 0.1])
    logits = torch.zeros(4, requires_grad=True)
    real, fake = (torch.repeat_interleave(torch.arange(4), (10 * share).long()) for share in (p, q))
    optimiser = torch.optim.LBFGS([logits], max_iter=50)
    loss = losses.adversarial_loss("non_saturating")

    def closure():
        optimiser.zero_grad()
        value = loss.discriminator(logits[real], logits[fake])
        value.backward()
        return value

    optimiser.step(closure)
    best = losses.optimal_discriminator(p.numpy(), q.numpy())
    assert logits.sigmoid().detach().numpy() == pytest.approx(best, abs=1e-3)
    assert -closure().item() == pytest.approx(losses.game_value(p, q, np.ones(4)), abs=1e-5)
