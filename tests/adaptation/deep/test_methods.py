"""What every method of deep adaptation promises, and that each helps where a target is simply moved."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from domains import gaussians, moons

from medtl_core.adaptation.deep import (
    MULTI_SOURCE,
    SINGLE_SOURCE,
    AdaptationConfig,
    Unlabelled,
    combined,
    feature_network,
    reverse_gradient,
    train_source_only,
)
from medtl_core.errors import MedtlError
from medtl_core.training.features import FeatureSet
from medtl_core.training.looks import Looks
from medtl_core.training.prediction import predict

QUICK = AdaptationConfig(steps=6, batch_size=16)
SOURCE, OTHER, TARGET = moons(0, 80), moons(15, 70, seed=1), moons(30, 90, seed=2)
NETWORK = feature_network((2,), 2, seed=0, width=16)
METHODS = {**SINGLE_SOURCE, **MULTI_SOURCE}
AT_ONCE = {"AdaBN"}  # trains no longer than source-only


def run(name, target=TARGET, seed=0, config=QUICK, source=SOURCE, **options):
    sources = [source, OTHER] if name in MULTI_SOURCE else source
    return METHODS[name](NETWORK, sources, Unlabelled.of(target), None, config, seed=seed, **options)


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(name):
    first, again, other = run(name), run(name), run(name, seed=1)
    assert np.array_equal(predict(first.network, TARGET, None), predict(again.network, TARGET, None))
    assert first.history == again.history
    assert not np.array_equal(predict(first.network, TARGET, None), predict(other.network, TARGET, None))
    assert all(np.isfinite(list(step.values())).all() for step in first.history)


@pytest.mark.parametrize("name", METHODS)
def test_nonsense_labels_of_the_target_change_nothing_and_carrying_them_is_refused(name):
    nonsense = FeatureSet(TARGET.features, torch.full_like(TARGET.labels, -7))
    assert run(name, nonsense).history == run(name).history
    sources = [SOURCE, OTHER] if name in MULTI_SOURCE else SOURCE
    with pytest.raises(MedtlError, match=r"carries labels; expected Unlabelled\.of"):
        METHODS[name](NETWORK, sources, TARGET, None, QUICK, seed=0)
    assert not hasattr(Unlabelled.of(TARGET), "labels")


@pytest.mark.parametrize("name", METHODS)
def test_the_network_given_stays_and_rows_keep_their_order(name):
    before = {key: weight.clone() for key, weight in NETWORK.state_dict().items()}
    adapted = run(name).network
    assert NETWORK.training
    assert not adapted.training
    assert all(torch.equal(before[key], weight) for key, weight in NETWORK.state_dict().items())
    turned = torch.arange(len(TARGET)).flip(0)
    assert np.allclose(
        predict(adapted, TARGET.select(turned), None), predict(adapted, TARGET, None)[::-1], atol=1e-6
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_target_smaller_than_a_batch_is_one_line(name):
    with pytest.raises(MedtlError, match="5 cases in the target, expected at least one batch of 16"):
        run(name, TARGET.select(torch.arange(5)))


@pytest.mark.parametrize("name", METHODS)
def test_a_source_of_one_class_is_one_line(name):
    one = SOURCE.select(torch.nonzero(SOURCE.labels == 1).flatten())
    with pytest.raises(MedtlError, match="labels of class 1 alone"):
        run(name, source=one)


@pytest.mark.parametrize("name", MULTI_SOURCE)
def test_one_source_and_sources_without_a_shared_class_are_refused(name):
    method, target = MULTI_SOURCE[name], Unlabelled.of(TARGET)
    with pytest.raises(MedtlError, match="1 source found, expected at least 2"):
        method(NETWORK, [SOURCE], target, None, QUICK, seed=0)
    with pytest.raises(MedtlError, match="0 source found"):
        method(NETWORK, [], target, None, QUICK, seed=0)
    recoded = FeatureSet(OTHER.features, OTHER.labels + 2)
    wider = feature_network((2,), 4, seed=0)
    with pytest.raises(MedtlError, match=r"source 1 has classes \[0, 1\] and source 2 \[2, 3\]"):
        method(wider, [SOURCE, recoded], target, None, QUICK, seed=0)


@pytest.mark.parametrize("name", METHODS)
def test_a_label_without_an_output_is_one_line(name):
    with pytest.raises(MedtlError, match="a label is 3, but the network has 2 outputs"):
        run(name, source=FeatureSet(SOURCE.features, SOURCE.labels + 2))


def test_cases_of_another_shape_are_one_line():
    with pytest.raises(MedtlError, match="expected one size and one kind"):
        SINGLE_SOURCE["DAN"](NETWORK, SOURCE, Unlabelled(torch.zeros(40, 3)), None, QUICK, seed=0)


@pytest.mark.parametrize("name", SINGLE_SOURCE)
def test_every_method_meets_the_source_batches_of_source_only_whatever_the_target(name):
    config = AdaptationConfig(steps=1, batch_size=16)
    seen = []

    class Watched(FeatureSet):
        def inputs(self, index, normalisation=None):
            seen.append(index.tolist())
            return super().inputs(index, normalisation)

    source = Watched(SOURCE.features, SOURCE.labels)
    train_source_only(NETWORK, source, None, config, seed=3)
    expected = seen[0]
    seen.clear()
    run(name, config=config, source=source, seed=3)
    assert seen[0] == expected


def test_batches_visit_every_case_once_before_any_twice():
    seen = []

    class Watched(FeatureSet):
        def inputs(self, index, normalisation=None):
            seen.extend(index.tolist())
            return super().inputs(index, normalisation)

    source = Watched(SOURCE.features, SOURCE.labels)
    train_source_only(NETWORK, source, None, AdaptationConfig(steps=5, batch_size=16), seed=0)
    assert sorted(seen) == list(range(80))


def test_sources_are_combined_in_their_order():
    both = combined([SOURCE, OTHER])
    assert torch.equal(both.features[80:], OTHER.features)
    assert torch.equal(both.labels, torch.cat([SOURCE.labels, OTHER.labels]))
    with pytest.raises(MedtlError, match="expected one shape"):
        combined([SOURCE, FeatureSet(torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64))])


def test_a_loss_that_is_not_finite_names_its_step():
    broken = FeatureSet(SOURCE.features * float("inf"), SOURCE.labels)
    with pytest.raises(MedtlError, match="loss is nan at step 1 of 6"):
        train_source_only(NETWORK, broken, None, QUICK, seed=0)


def test_dann_reverses_both_domains_alike_along_the_schedule(monkeypatch):
    given = []

    def watched(x, coefficient):
        given.append(coefficient)
        return reverse_gradient(x, coefficient)

    monkeypatch.setattr("medtl_core.adaptation.deep.dann.reverse_gradient", watched)
    run("DANN", trade_off=0.5)
    expected = [0.5 * np.tanh(5 * step / 6) for step in range(6)]
    assert given[::2] == pytest.approx(expected)
    assert given[1::2] == pytest.approx(expected)


LONGER = AdaptationConfig(steps=300, batch_size=64, learning_rate=3e-3)
MOVED, NEAR, FAR = gaussians(1, 1, seed=1), gaussians(0, 1), gaussians(-0.3, 1, seed=2)


def right(adapted):
    return float((predict(adapted.network, MOVED, None).argmax(1) == MOVED.labels.numpy()).mean())


@cache
def right_without(several, seed):
    """Share of the moved target that source-only training of one source or of both gets right."""
    alone = combined([NEAR, FAR]) if several else NEAR
    return right(train_source_only(feature_network((3,), 2, seed=seed), alone, None, LONGER, seed=seed))


@pytest.mark.parametrize(
    "name", [n if n in AT_ONCE else pytest.param(n, marks=pytest.mark.slow) for n in METHODS]
)
def test_every_method_gains_where_the_target_is_the_source_moved(name):
    """Two Gaussian classes, and the same a unit further along all axes: source-only gets 3 of 4 right."""
    several = name in MULTI_SOURCE
    gains = []
    for seed in (0, 1):
        network, target = feature_network((3,), 2, seed=seed), Unlabelled.of(MOVED)
        after = METHODS[name](network, [NEAR, FAR] if several else NEAR, target, None, LONGER, seed=seed)
        gains.append(right(after) - right_without(several, seed))
    assert min(gains) > 0
    assert np.mean(gains) > 0.05


def test_no_file_of_the_loops_reads_target_labels():
    folder = Path(__file__).parents[3] / "medtl_core" / "adaptation" / "deep"
    assert not [path.name for path in folder.glob("*.py") if "target.labels" in path.read_text("utf-8")]


@pytest.mark.parametrize(("name", "part"), [("deep CORAL", "coral"), ("DAN", "mmd2"), ("M3SDA", "moments")])
def test_the_distance_of_the_domains_falls_with_its_weight(name, part):
    config = AdaptationConfig(steps=60, batch_size=32, learning_rate=3e-3)
    distances = []
    for trade_off in (0.0, 5.0):
        history = METHODS[name](
            feature_network((3,), 2, seed=0),
            [gaussians(0, 1), gaussians(-0.3, 1, seed=2)] if name in MULTI_SOURCE else gaussians(0, 1),
            Unlabelled.of(gaussians(1, 2, seed=1)),
            None,
            config,
            seed=0,
            trade_off=trade_off,
        ).history
        distances.append(np.mean([step[part] for step in history[-10:]]))
    assert distances[1] < 0.8 * distances[0]


@pytest.mark.slow
def test_the_extractor_of_adda_works_against_the_discriminator():
    config = AdaptationConfig(steps=100, batch_size=32, learning_rate=3e-3)
    domain = []
    for rate in (1e-6, 1.0):
        history = SINGLE_SOURCE["ADDA"](
            feature_network((3,), 2, seed=0),
            gaussians(0, 1),
            Unlabelled.of(gaussians(1, 2, seed=1)),
            None,
            config,
            seed=0,
            extractor_rate=rate,
        ).history
        domain.append(np.mean([step["domain"] for step in history[-10:]]))
    assert domain[1] > domain[0] - 0.02


@pytest.mark.parametrize("name", METHODS)
def test_looks_at_held_out_cases_are_kept_and_change_nothing(name):
    seen = []

    def score(network):
        seen.append((network.training, predict(network, OTHER, None)))
        return float(len(seen))

    looked = run(name, config=AdaptationConfig(steps=6, batch_size=16, looks=Looks(score, times=3)))
    plain = run(name)
    found = [entry.pop("held_out") for entry in looked.history if "held_out" in entry]
    assert looked.history == plain.history
    assert np.array_equal(predict(looked.network, TARGET, None), predict(plain.network, TARGET, None))
    assert len(seen) >= 3
    assert found == [float(i) for i in range(1, len(seen) + 1)]
    if name not in ("ADDA", "AdaBN"):  # their last stage changes what was looked at
        assert np.array_equal(seen[-1][1], predict(looked.network, OTHER, None))
    assert not np.array_equal(seen[0][1], seen[-1][1])
