"""Arms that had not converged and values that are bounds decide nothing."""

import pytest

from medtl_core.evidence.estimation import estimates
from medtl_core.evidence.record import to_frame


def with_metric(record, pairs, metric, values):
    """Clear pairs; the treatment's trials carry one more metric with these values."""
    clear = pairs([0.1, 0.11, 0.09, 0.1, 0.12])
    treated = [r for r in clear if r.arm == "full"]
    extra = [
        record(arm="full", seed=r.seed, metric=metric, value=v, key=r.key)
        for r, v in zip(treated, values, strict=True)
    ]
    return to_frame([*clear, *extra])


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("best_step_share", "full has not converged"),
        ("auroc_censored", "auroc is no more than a bound in 40 % of the trials of full"),
    ],
)
def test_more_than_a_fifth_leaves_the_rule_open(judge, rule, record, pairs, metric, words):
    few = with_metric(record, pairs, metric, [0.3, 0.5, 0.4, 0.2, 1.0])
    assert judge(rule(), few).verdict == "supported"
    many = with_metric(record, pairs, metric, [0.3, 1.0, 0.4, 0.2, 0.95])
    result = judge(rule(), many)
    assert result.verdict == "inconclusive"
    assert words in result.reason
    assert estimates(rule(), many)[0].interval is not None


def test_only_the_trials_behind_a_rule_count(judge, rule, record, pairs):
    other = [record(arm="full", seed=s, metric="best_step_share", value=1.0, key=f"o{s}") for s in range(5)]
    assert judge(rule(), to_frame([*pairs([0.1, 0.11, 0.09, 0.1, 0.12]), *other])).verdict == "supported"
