"""Metrics against scikit-learn, closed forms and counts on paper."""

import numpy as np
import pytest
import sklearn.metrics as oracle

from medtl_core.errors import MedtlError
from medtl_core.evaluation import metrics

METRICS = [metrics.auroc, metrics.auprc, metrics.accuracy, metrics.balanced_accuracy, metrics.brier]


def softmax_scores(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.choice(n_classes, n - n_classes)])
    logits = rng.normal(size=(n, n_classes)) + 1.2 * np.eye(n_classes)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, scores


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_equal_scikit_learn(seed):
    y, scores = softmax_scores(97, 2, seed)
    positive, chosen = scores[:, 1], scores[:, 1] > 0.5
    expected = {
        metrics.auroc: oracle.roc_auc_score(y, positive),
        metrics.auprc: oracle.average_precision_score(y, positive),
        metrics.accuracy: oracle.accuracy_score(y, chosen),
        metrics.balanced_accuracy: oracle.balanced_accuracy_score(y, chosen),
        metrics.brier: oracle.brier_score_loss(y, positive),
    }
    for metric, value in expected.items():
        assert metric(y, scores) == pytest.approx(value, abs=1e-12), metric.__name__


@pytest.mark.parametrize("n_classes", [3, 7])
def test_many_classes_equal_scikit_learn(n_classes):
    y, scores = softmax_scores(203, n_classes, n_classes)
    one_hot, chosen = np.eye(n_classes)[y], scores.argmax(axis=1)
    expected = {
        metrics.auroc: oracle.roc_auc_score(y, scores, multi_class="ovr"),
        metrics.auprc: oracle.average_precision_score(one_hot, scores),
        metrics.accuracy: oracle.accuracy_score(y, chosen),
        metrics.balanced_accuracy: oracle.balanced_accuracy_score(y, chosen),
        metrics.brier: n_classes * oracle.mean_squared_error(one_hot, scores),
        metrics.recall_per_class: oracle.recall_score(y, chosen, average=None),
    }
    for metric, value in expected.items():
        assert metric(y, scores) == pytest.approx(value, abs=1e-12), metric.__name__


def test_uneven_last_batch_is_no_different_from_one_batch():
    y, scores = softmax_scores(70, 3, 0)
    order = np.argsort(y, kind="stable")
    y, scores = y[order], scores[order]
    batches = [slice(0, 32), slice(32, 64), slice(64, 70)]
    whole = metrics.all_metrics(
        np.concatenate([y[b] for b in batches]), np.concatenate([scores[b] for b in batches])
    )
    chosen = scores.argmax(axis=1)
    assert whole["accuracy"] == pytest.approx(oracle.accuracy_score(y, chosen), abs=1e-12)
    assert whole["auroc"] == pytest.approx(oracle.roc_auc_score(y, scores, multi_class="ovr"), abs=1e-12)
    assert whole["brier"] == pytest.approx(np.mean(((scores - np.eye(3)[y]) ** 2).sum(axis=1)), abs=1e-12)
    mean_of_batches = np.mean([oracle.accuracy_score(y[b], chosen[b]) for b in batches])
    assert abs(mean_of_batches - whole["accuracy"]) > 1e-3


def test_counts_on_paper():
    y = np.array([0, 0, 1, 1])
    positive = np.array([0.1, 0.6, 0.6, 0.9])
    assert metrics.auroc(y, positive) == 3.5 / 4
    assert metrics.accuracy(y, positive) == 0.75
    assert metrics.recall_per_class(y, positive).tolist() == [0.5, 1.0]
    assert metrics.brier(y, positive) == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)
    assert metrics.brier([0, 2], np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])) == 1.0


def test_probabilities_of_class_one_equal_two_columns():
    y, scores = softmax_scores(50, 2, 3)
    for metric in METRICS:
        assert metric(y, scores[:, 1]) == pytest.approx(metric(y, scores), abs=1e-12)


def test_all_metrics_names_each_with_a_direction():
    y, scores = softmax_scores(50, 4, 1)
    values = metrics.all_metrics(y, scores)
    assert set(values) == {"auroc", "auprc", "accuracy", "balanced_accuracy", "brier", "ece"}
    assert all(type(value) is float and 0.0 <= value <= 2.0 for value in values.values())
    assert set(values) <= set(metrics.DIRECTION)


def test_direction_is_where_a_perfect_score_lies():
    y, worse = softmax_scores(120, 3, 2)
    perfect = np.eye(3)[y]
    better, noisy = metrics.all_metrics(y, perfect), metrics.all_metrics(y, worse)
    for name in better:
        sign = 1 if metrics.DIRECTION[name] == "higher" else -1
        assert sign * better[name] > sign * noisy[name], name


def bad_inputs() -> dict[str, tuple]:
    y, scores = softmax_scores(20, 3, 0)
    halved, nan, above = scores.copy(), scores.copy(), scores.copy()
    halved[4] /= 2
    nan[5, 1] = np.nan
    above[6] = [1.5, -0.25, -0.25]
    return {
        "sum": (y, halved, "sum of 0.5 found at case 4"),
        "nan": (y, nan, "NaN or infinity found at case 5"),
        "range": (y, above, r"outside \[0, 1\] found at case 6"),
        "label too high": (np.where(np.arange(20) == 7, 3, y), scores, "3 found at case 7, expected 0 to 2"),
        "label negative": (np.where(np.arange(20) == 7, -1, y), scores, "-1 found at case 7"),
        "label not whole": (y + 0.5, scores, "dtype float64"),
        "lengths": (y[:-1], scores, "20 cases found for 19 labels"),
        "one column": (y, scores[:, :1], r"shape \(20, 1\)"),
        "labels as a table": (y[:, None], scores, r"shape \(20, 1\)"),
        "empty": (y[:0], scores[:0], r"shape \(0,\)"),
    }


@pytest.mark.parametrize("case", bad_inputs())
@pytest.mark.parametrize("metric", [*METRICS, metrics.all_metrics], ids=lambda m: m.__name__)
def test_bad_input_is_told_in_one_line(metric, case):
    y, scores, message = bad_inputs()[case]
    with pytest.raises(MedtlError, match=message) as raised:
        metric(y, scores)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "metric", [metrics.auroc, metrics.auprc, metrics.balanced_accuracy], ids=lambda m: m.__name__
)
def test_an_absent_class_leaves_the_metric_undefined(metric):
    with pytest.raises(MedtlError, match="no case of class 0 among 3 cases"):
        metric([1, 1, 1], [0.2, 0.3, 0.9])
    with pytest.raises(MedtlError, match="no case of class 2"):
        metric([0, 1, 1], np.full((3, 3), 1 / 3))
    assert metrics.accuracy([1, 1, 1], [0.2, 0.3, 0.9]) == pytest.approx(1 / 3)


def test_dice_on_paper_and_against_f1():
    mask = np.array([[1, 1, 0], [0, 0, 0]])
    reference = np.array([[0, 1, 1], [1, 0, 0]])
    assert metrics.dice(mask, reference) == 2 * 1 / (2 + 3)
    rng = np.random.default_rng(0)
    found, expected = rng.random((4, 16, 16)) < 0.3, rng.random((4, 16, 16)) < 0.5
    assert metrics.dice(found, expected) == pytest.approx(oracle.f1_score(expected.ravel(), found.ravel()))
    assert metrics.dice(np.zeros((3, 3)), np.zeros((3, 3))) == 1.0
    assert metrics.dice(np.zeros((3, 3)), np.ones((3, 3))) == 0.0


def test_dice_refuses_shapes_and_grey_values():
    with pytest.raises(MedtlError, match=r"shape \(2, 2\) found against reference \(2, 3\)"):
        metrics.dice(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(MedtlError, match="reference: values other than 0 and 1"):
        metrics.dice(np.zeros((2, 2)), np.full((2, 2), 255))
    with pytest.raises(MedtlError, match=r"shape \(0, 2\)"):
        metrics.dice(np.zeros((0, 2)), np.zeros((0, 2)))
