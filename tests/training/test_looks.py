"""Looks at a network while it trains, on histories whose answers are counted on paper."""

import pytest
import torch

from medtl_core.errors import MedtlError
from medtl_core.training.looks import Looks, best_step_share, last_change, last_tenth


def test_looks_are_even_and_the_last_step_is_one():
    looks = Looks(lambda network: network.weight.item(), times=4)
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 0.75)
    found = {step: looks.at(network, step, 10) for step in range(1, 11)}
    assert [step for step, look in found.items() if look] == [3, 5, 8, 10]
    assert found[3] == {"held_out": 0.75}
    assert sum(bool(looks.at(network, step, 3)) for step in range(1, 4)) == 3  # fewer steps than looks


def test_the_best_step_is_the_first_within_the_margin():
    scores = [0.5, 0.8, 0.895, 0.9, 0.7]
    history = [entry for score in scores for entry in ({"loss": 1.0}, {"loss": 1.0, "held_out": score})]
    assert best_step_share(history, 0.0) == pytest.approx(8 / 10)
    assert best_step_share(history, 0.01) == pytest.approx(6 / 10)
    # A second stage that is not looked at does not count as budget.
    assert best_step_share([*history, {"loss": 1.0}, {"loss": 1.0}], 0.0) == pytest.approx(8 / 10)
    with pytest.raises(MedtlError, match="no look at held-out cases"):
        best_step_share([{"loss": 1.0}], 0.0)


def test_a_network_that_learnt_nothing_has_its_best_still_to_come():
    flat = [{"held_out": score} for score in (0.0, 0.005, 0.0)]
    assert best_step_share(flat, 0.01) == pytest.approx(1 / 3)
    assert best_step_share(flat, 0.01, nothing=0.005) == 1
    assert best_step_share([*flat, {"held_out": 0.3}, {"held_out": 0.3}], 0.01, nothing=0.005) == 4 / 5


def test_the_last_tenth_and_its_change():
    history = [{"loss": float(value)} for value in range(100, 0, -1)]
    assert last_tenth(history, "loss") == pytest.approx(5.5)
    assert last_change(history, "loss") == pytest.approx((15.5 - 5.5) / 15.5)
    assert last_change(history[::-1], "loss") == pytest.approx((85.5 - 95.5) / 85.5)
    assert last_change([{"loss": 3.0}] * 5 + [{"loss": 1.0}] * 20, "loss") == 0
    with pytest.raises(MedtlError, match="9 steps with 'loss', the lowest 92; expected at least 10 steps"):
        last_change(history[:9], "loss")
    with pytest.raises(MedtlError, match="the lowest 0; expected"):
        last_change([*history, {"loss": 0.0}], "loss")
    with pytest.raises(MedtlError, match="no entry 'domain'"):
        last_tenth(history, "domain")


def test_one_look_is_one_line():
    with pytest.raises(MedtlError, match="times is 1, expected at least 2"):
        Looks(lambda network: 0.0, times=1)
