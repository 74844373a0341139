"""Pan & Yang's scheme against a table of cases made by hand from the paper's own examples."""

import itertools

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.transfer.transfer_setting import (
    APPROACHES_IN,
    CARRIED,
    SETTINGS,
    Domain,
    Task,
    domains_differ,
    setting_of,
    tasks_differ,
    transfer_approaches,
)

X, X_OTHER_MARGINAL, OTHER_SPACE = Domain("words", "A"), Domain("words", "B"), Domain("pixels", "A")
TOPIC, TOPIC_UNLABELLED = (Task.of("sport", "politics", labelled=known) for known in (True, False))
SPAM, SPAM_UNLABELLED = (Task.of("spam", "ham", labelled=known) for known in (True, False))
OTHER_CONCEPT = Task.of("sport", "politics", predictive="another reader", labelled=True)

# (name in the paper, source, target, setting, spaces)
CASES = [
    ("ordinary learning", (X, TOPIC), (X, TOPIC), "no transfer", "homogeneous"),
    ("semi-supervised learning", (X, TOPIC), (X, TOPIC_UNLABELLED), "no transfer", "homogeneous"),
    ("multi-task learning", (X, TOPIC), (X, SPAM), "inductive", "homogeneous"),
    ("self-taught learning", (X_OTHER_MARGINAL, TOPIC_UNLABELLED), (X, SPAM), "inductive", "homogeneous"),
    ("same classes, other concept", (X, TOPIC), (X, OTHER_CONCEPT), "inductive", "homogeneous"),
    ("covariate shift", (X, TOPIC), (X_OTHER_MARGINAL, TOPIC_UNLABELLED), "transductive", "homogeneous"),
    ("cross-language", (X, TOPIC), (OTHER_SPACE, TOPIC_UNLABELLED), "transductive", "heterogeneous"),
    (
        "self-taught clustering",
        (X_OTHER_MARGINAL, TOPIC_UNLABELLED),
        (X, SPAM_UNLABELLED),
        "unsupervised",
        "homogeneous",
    ),
    (
        "supervised adaptation",
        (X, TOPIC),
        (X_OTHER_MARGINAL, TOPIC),
        "outside the scheme",
        "homogeneous",
    ),
    ("zero-shot", (X, TOPIC), (X, SPAM_UNLABELLED), "outside the scheme", "homogeneous"),
]


@pytest.mark.parametrize(
    ("source", "target", "name", "spaces"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_cases_of_the_paper(source, target, name, spaces):
    found = setting_of(source, target)
    assert (found.name, found.spaces) == (name, spaces)
    assert found.is_transfer == (name != "no transfer")
    assert found.reason


def test_every_combination_has_one_place_and_transfer_is_definition_1():
    tasks = [TOPIC, TOPIC_UNLABELLED, SPAM, SPAM_UNLABELLED]
    for d, t, s in itertools.product([X, X_OTHER_MARGINAL, OTHER_SPACE], tasks, tasks):
        found = setting_of((X, s), (d, t))
        assert found.is_transfer == (d is not X or s.classes != t.classes)
        assert (found.name == "no transfer") != found.is_transfer
        if found.name == "inductive":
            assert t.labelled
            assert s.classes != t.classes
        if found.name == "transductive":
            assert (s.labelled, t.labelled) == (True, False)
        if found.name == "unsupervised":
            assert not s.labelled
            assert not t.labelled


def test_order_of_classes_and_knowledge_of_labels_make_no_other_task():
    assert not tasks_differ(Task.of("a", "b", labelled=True), Task.of("b", "a", labelled=False))
    assert tasks_differ(Task.of("a", "b", labelled=True), Task.of("a", "b", "c", labelled=True))


def test_samples_decide_where_a_test_is_given():
    rng = np.random.default_rng(0)
    here, same, far = (Domain("numbers", n, rng.normal(m, 1, 200)) for n, m in (("p", 0), ("q", 0), ("p", 5)))

    def means_differ(x, y):
        return abs(x.mean() - y.mean()) > 1

    assert domains_differ(here, same)
    assert not domains_differ(here, same, means_differ)
    assert not domains_differ(here, far)
    assert domains_differ(here, far, means_differ)
    found = setting_of((here, TOPIC), (far, TOPIC_UNLABELLED), means_differ)
    assert found.name == "transductive"


def test_a_sample_on_one_side_only_is_refused():
    with pytest.raises(MedtlError, match="domain of the target: found no sample"):
        domains_differ(Domain("n", "p", np.zeros(3)), Domain("n", "p"), lambda x, y: True)
    with pytest.raises(MedtlError, match="found no class"):
        Task.of(labelled=True)


def test_approaches_by_what_is_carried_over():
    assert transfer_approaches(["case weights"]) == {"instance"}
    assert transfer_approaches(["weights", "aligned features"]) == {"parameter", "feature representation"}
    assert transfer_approaches(["relations"]) == {"relational knowledge"}
    with pytest.raises(MedtlError, match="found 'hope', expected some of cases"):
        transfer_approaches(["hope"])


def test_the_paper_s_table_of_settings_and_approaches():
    assert tuple(APPROACHES_IN) == SETTINGS
    assert set().union(*APPROACHES_IN.values()) == set(CARRIED.values())
    assert [len(APPROACHES_IN[name]) for name in SETTINGS] == [4, 2, 1]
