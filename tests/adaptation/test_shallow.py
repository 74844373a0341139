"""One interface for every shallow method: order, seeds, labels, diagnostics and refusals."""

import inspect

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from medtl_core.adaptation import adapt, domain_indices, method_names, shared_classes
from medtl_core.adaptation.subspace import transfer_components
from medtl_core.adaptation.weighted_discrepancy import weighted_mmd2
from medtl_core.errors import MedtlError
from medtl_core.evaluation.discrepancy import median_bandwidth

RNG = np.random.default_rng(0)
NAMES = np.array(["benign", "malignant"])


def two_domains(cases: int = 60, others: int = 50, width: int = 12):
    """Two Gaussian classes; in the target wider, and moved."""
    rng = np.random.default_rng(3)
    labels, hidden = np.arange(cases) % 2, np.arange(others) // 5 % 2
    separate = np.zeros(width)
    separate[:4] = 4
    source = rng.normal(size=(cases, width)) + labels[:, None] * separate
    target = rng.normal(size=(others, width)) * 1.2 + hidden[:, None] * separate + (separate == 0)
    return source, NAMES[labels], target, NAMES[hidden]


SOURCE, LABELS, TARGET, HIDDEN = two_domains()
SMALL = {"seed": 0, "dimensions": 10, "components": 3}


@pytest.fixture(scope="module")
def fitted():
    return {name: adapt(name, SOURCE, LABELS, TARGET, **SMALL) for name in method_names()}


@pytest.mark.parametrize("method", method_names())
def test_order_of_rows_seed_and_classes(method, fitted):
    found = fitted[method].predict_proba(TARGET)
    assert found.shape == (50, 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert fitted[method].classes.tolist() == ["benign", "malignant"]
    assert np.array_equal(found, adapt(method, SOURCE, LABELS, TARGET, **SMALL).predict_proba(TARGET))
    assert np.array_equal(found[:7], fitted[method].predict_proba(TARGET)[:7])
    assert np.allclose(fitted[method].predict_proba(TARGET[[9, 4]]), found[[9, 4]], atol=1e-10)


@pytest.mark.parametrize("method", method_names())
def test_permuted_rows_permute_the_predictions_only(method, fitted):
    order, other = RNG.permutation(50), RNG.permutation(60)
    moved = adapt(method, SOURCE[other], LABELS[other], TARGET[order], **SMALL)
    expected = fitted[method].predict_proba(TARGET)[order]
    assert np.allclose(moved.predict_proba(TARGET[order]), expected, atol=1e-6)
    assert np.allclose(moved.source_weights, fitted[method].source_weights[other], atol=1e-6)


@pytest.mark.parametrize("method", method_names())
def test_labels_stay_with_their_rows(method, fitted):
    """Where the classes are far apart, source cases are known again: no row has another's label."""
    found = fitted[method].predict_proba(TARGET)
    assert (fitted[method].classes[found.argmax(axis=1)] == HIDDEN).mean() > 0.95


def test_target_labels_are_an_argument_nowhere():
    assert list(inspect.signature(adapt).parameters) == [
        "method",
        "source_features",
        "source_labels",
        "target_features",
        "seed",
        "dimensions",
        "components",
    ]


def test_inputs_stay_as_they_are():
    kept = SOURCE.copy(), LABELS.copy(), TARGET.copy()
    for method in method_names():
        adapt(method, SOURCE, LABELS, TARGET, **SMALL)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (SOURCE, LABELS, TARGET), strict=True))


def test_weights_are_in_the_order_of_the_source(fitted):
    moved = SOURCE[:, 4:].sum(axis=1)
    for method in ("kmm", "kliep", "ulsif", "discriminative"):
        weights = fitted[method].source_weights
        assert weights.mean() == pytest.approx(1)
        assert np.corrcoef(weights, moved)[0, 1] > 0.2, method
        size = fitted[method].diagnostics["effective_sample_size"]
        assert size == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert np.array_equal(fitted["coral"].source_weights, np.ones(60))


def test_diagnostics_say_what_was_done(fitted):
    for method, adapted in fitted.items():
        assert adapted.diagnostics["dimensions"] == 10
        assert adapted.diagnostics["source_cases"] == 60
        assert adapted.diagnostics["target_cases"] == 50
        if method in ("kmm", "kliep", "ulsif", "discriminative", "coral", "optimal_transport"):
            assert adapted.diagnostics["mmd2_after"] < adapted.diagnostics["mmd2_before"], method
    assert fitted["tca"].diagnostics["components"] == 3
    assert fitted["alignment_discriminant"].diagnostics["heterogeneity_p"] <= 0.05
    assert fitted["alignment_discriminant"].diagnostics["aligned"] == 1


def test_what_is_left_of_the_shift_is_measured_where_the_classifier_works(fitted):
    reduced = [fitted["tca"]._reduction(features) for features in (SOURCE, TARGET)]
    space = transfer_components(*reduced, components=3)
    left = weighted_mmd2(space.source, space.target_map(reduced[1]))
    assert fitted["tca"].diagnostics["mmd2_after"] == pytest.approx(left)
    assert fitted["tca"].diagnostics["mmd2_before"] == pytest.approx(weighted_mmd2(*reduced))
    left = weighted_mmd2(*reduced, fitted["kliep"].source_weights)
    assert fitted["kliep"].diagnostics["mmd2_after"] == pytest.approx(left)


def test_domains_that_do_not_differ_are_not_aligned():
    rng = np.random.default_rng(6)
    both = rng.normal(size=(120, 5))
    labels = (both[:60, 0] > 0).astype(int)
    found = adapt("alignment_discriminant", both[:60], labels, both[60:], seed=0, components=2)
    assert found.diagnostics["aligned"] == 0
    assert "components" not in found.diagnostics


@pytest.mark.parametrize("method", ["bbse", "saerens_em"])
def test_a_planted_label_shift_is_found(method):
    rng = np.random.default_rng(5)
    codes = np.repeat([0, 1, 2], [300, 150, 450])
    hidden = np.repeat([0, 1, 2], [600, 250, 150])
    middle = np.array([[0, 0], [3, 0], [0, 3]])
    source, target = (rng.normal(size=(len(c), 2)) + middle[c] for c in (codes, hidden))
    adapted = adapt(method, source, codes, target, seed=0)
    shares = [adapted.diagnostics[f"target_share_{k}"] for k in range(3)]
    assert shares == pytest.approx([0.6, 0.25, 0.15], abs=0.05)
    plain = adapt("source_only", source, codes, target, seed=0)
    right = (adapted.predict_proba(target).argmax(axis=1) == hidden).mean()
    assert right > (plain.predict_proba(target).argmax(axis=1) == hidden).mean()


def test_coral_undoes_a_stretch_and_a_move_that_defeat_the_source():
    rng = np.random.default_rng(4)
    codes, hidden = np.arange(400) % 2, np.arange(300) % 2
    source = rng.normal(size=(400, 2)) + codes[:, None] * 2.5
    target = (rng.normal(size=(300, 2)) + hidden[:, None] * 2.5) * [1, 3] + [0, 5]
    right = {
        name: (adapt(name, source, codes, target, seed=0).predict_proba(target).argmax(1) == hidden).mean()
        for name in ("source_only", "coral")
    }
    assert right["source_only"] < 0.75 < 0.9 < right["coral"]


def test_weighted_mmd_is_the_double_sum():
    x, y, w = RNG.normal(size=(4, 2)), RNG.normal(size=(3, 2)), np.array([1.0, 2.0, 0.0, 1.0])
    points, signed = np.concatenate([x, y]), np.concatenate([w / 4, np.full(3, -1 / 3)])
    width = median_bandwidth(x, y)
    expected = sum(
        signed[i] * signed[j] * np.exp(-((points[i] - points[j]) ** 2).sum() / (2 * width**2))
        for i in range(7)
        for j in range(7)
    )
    assert weighted_mmd2(x, y, w) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "found method 'magic', expected one of source_only"),
        ({"target_features": TARGET[:0]}, "60 source and 0 target cases, expected two domains"),
        ({"target_features": SOURCE}, "the same features; expected two domains"),
        ({"target_features": TARGET[:, :5]}, r"shape \(60, 12\) and \(50, 5\)"),
        ({"target_features": TARGET * np.nan}, "NaN or infinity"),
        ({"source_labels": LABELS[:9]}, r"labels of shape \(9,\) for 60 source cases"),
        ({"source_labels": np.zeros(60)}, "one class, 0.0, expected at least 2"),
        ({"source_features": np.ones((60, 12))}, "all source cases have the same features"),
        ({"dimensions": 0}, "0 dimensions from 60 source cases"),
        ({"method": "tca", "target_features": TARGET[:3]}, "target has 3 cases, expected more than the 3"),
        ({"method": "subspace_alignment", "components": 11}, "11 components of 10 dimensions"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_one_line(change, message):
    arguments = {
        "method": "coral",
        "source_features": SOURCE,
        "source_labels": LABELS,
        "target_features": TARGET,
        **SMALL,
    }
    with pytest.raises(MedtlError, match=message) as refused:
        adapt(**(arguments | change))
    assert "\n" not in str(refused.value)


def test_other_features_are_refused_at_prediction(fitted):
    with pytest.raises(MedtlError, match=r"features \(50, 5\), expected finite ones of shape \(k, 12\)"):
        fitted["coral"].predict_proba(TARGET[:, :5])


def test_domains_and_classes_by_name():
    source, target = domain_indices(["a", "b", "a", "c"], "a", "c")
    assert source.tolist() == [0, 2]
    assert target.tolist() == [3]
    with pytest.raises(MedtlError, match=r"only \['a'\] found, expected at least 2"):
        domain_indices(["a", "a"], "a", "b")
    with pytest.raises(MedtlError, match="source 'a' and target 'd', expected two of a, b"):
        domain_indices(["a", "b"], "a", "d")
    assert shared_classes(["x", "y", "z"], ["z", "w", "x"]) == ["x", "z"]
    with pytest.raises(MedtlError, match="source x, y and target v, w share 0"):
        shared_classes(["x", "y"], ["v", "w"])


def test_the_solver_share_counts_the_iterations_of_the_logistic_regression(fitted):
    centred = SOURCE - SOURCE.mean(0)
    reduced = PCA(SMALL["dimensions"], svd_solver="full").fit_transform(centred)
    model = LogisticRegression(max_iter=5000).fit(reduced / np.sqrt(reduced.var(0).mean()), LABELS)
    found = {name: one.diagnostics["solver_share"] for name, one in fitted.items()}
    # The signs of axes and the order of rows can change the solver's path by a step or two.
    assert found["source_only"] == pytest.approx(model.n_iter_[0] / 5000, abs=3 / 5000)
    assert found.pop("alignment_discriminant") == 0
    assert all(0 < share < 0.1 for share in found.values())
