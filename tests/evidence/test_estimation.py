"""Estimates against SciPy and counts on paper."""

import numpy as np
import pytest
from scipy import stats

from medtl_core.errors import MedtlError
from medtl_core.evidence.estimation import estimates, overall_estimates
from medtl_core.evidence.record import to_frame

IDENTITY = {"treatment": "identity", "control": None}


def curve(record, arm, values, **fields):
    """values (S, L): one record a seed and a level of n, the levels being 64, 128, 256, ..."""
    return [
        record(arm=arm, seed=s, factors={"n": 64 * 2**level}, value=float(v), **fields)
        for s, row in enumerate(values)
        for level, v in enumerate(row)
    ]


def test_a_paired_difference_is_scipys(rule, record, pairs, frame):
    differences = np.array([0.01, 0.03, 0.02, 0.06, 0.04])
    found = estimates(rule(), frame(pairs(differences)))[0]
    oracle = stats.ttest_1samp(differences, 0)
    low, high = oracle.confidence_interval(0.95)
    assert found.seeds == 5
    assert found.interval.estimate == pytest.approx(0.032, abs=1e-6)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=1e-6)
    one_sided = stats.ttest_1samp(differences, 0, alternative="greater").pvalue
    assert found.p_values.holds == pytest.approx(one_sided, rel=1e-3)
    assert found.p_values.opposite == 1.0


def test_pairing_takes_away_what_seeds_share(rule, record):
    rng = np.random.default_rng(0)
    common = rng.normal(0, 0.2, 6)
    records = [
        record(arm=arm, seed=s, value=0.5 + common[s] + extra)
        for s in range(6)
        for arm, extra in (("full", 0.02 + 0.001 * s), ("scratch", 0.0))
    ]
    found = estimates(rule(), to_frame(records))[0].interval
    assert found.high - found.low < 0.01


def test_seeds_without_a_partner_are_dropped_and_counted(rule, pairs, frame, record):
    records = [r for r in pairs([0.1] * 7) if not (r.arm == "scratch" and r.seed in (2, 5))]
    found = estimates(rule(), frame(records))[0]
    assert (found.seeds, found.excluded) == (5, 2)


def test_a_data_set_or_stratum_without_one_of_the_arms_was_not_measured(rule, pairs, frame):
    whole = pairs([0.1] * 5, dataset="whole", factors={"n": 64})
    alone = [r for r in pairs([0.1] * 5, dataset="alone", factors={"n": 64}) if r.arm == "full"]
    small = [r for r in pairs([0.1] * 5, dataset="whole", factors={"n": 16}) if r.arm == "scratch"]
    assert estimates(rule(), frame(alone)) == []
    assert [found.dataset for found in estimates(rule(), frame(whole, alone))] == ["whole"]
    assert [found.stratum for found in estimates(rule(by=["n"]), frame(whole, small))] == [{"n": 64}]


def test_a_pair_has_the_same_factors(rule, record, frame):
    treated = curve(record, "full", [[0.8, 0.9, 0.99]] * 5)
    control = curve(record, "scratch", [[0.7, 0.6]] * 5)
    found = estimates(rule(), frame(treated, control))[0]
    assert found.interval.estimate == pytest.approx((0.1 + 0.3) / 2)
    assert found.seeds == 5
    crossed = [record(arm="full", seed=s, factors={"n": 64}) for s in range(5)]
    crossed += [record(arm="scratch", seed=s, factors={"n": 128}) for s in range(5)]
    assert estimates(rule(), frame(crossed))[0].interval is None


def test_a_seed_that_lacks_a_level_is_left_out_of_the_average(rule, record, frame):
    treated = curve(record, "full", [[0.8, 0.9]] * 6)
    control = [
        r for r in curve(record, "scratch", [[0.7, 0.7]] * 6) if not (r.seed == 3 and r.factors["n"] == 128)
    ]
    found = estimates(rule(), frame(treated, control))[0]
    assert (found.seeds, found.excluded) == (5, 1)
    assert found.interval.estimate == pytest.approx(0.15)


def test_strata_are_judged_apart_and_filters_hold(rule, record, frame):
    records = frame(
        curve(record, "full", [[0.8, 0.9, 1.0]] * 5), curve(record, "scratch", [[0.7, 0.7, 0.7]] * 5)
    )
    found = estimates(rule(by=["n"], where={"n": {"max": 128}}), records)
    assert [(e.stratum, round(e.interval.estimate, 6)) for e in found] == [
        ({"n": 64}, 0.1),
        ({"n": 128}, 0.2),
    ]
    assert [e.stratum["n"] for e in estimates(rule(by=["n"], where={"n": [64, 256]}), records)] == [64, 256]
    assert [e.stratum["n"] for e in estimates(rule(by=["n"], where={"n": 128}), records)] == [128]
    assert [e.stratum["n"] for e in estimates(rule(by=["n"], where={"n": {"min": 100}}), records)] == [
        128,
        256,
    ]
    assert estimates(rule(where={"n": 7}), records) == []
    overall = overall_estimates(rule(by=["n"]), records)["breastmnist"]
    assert overall.interval.estimate == pytest.approx(0.2)


def test_data_sets_and_domains_are_apart(rule, pairs, frame):
    records = frame(
        pairs([0.1] * 5),
        pairs([0.2] * 5, dataset="chest", source_domain="a", target_domain="b"),
        pairs([0.3] * 5, dataset="chest", source_domain="b", target_domain="a"),
    )
    found = {e.dataset: round(e.interval.estimate, 6) for e in estimates(rule(), records)}
    assert found == {"breastmnist": 0.1, "chest (a → b)": 0.2, "chest (b → a)": 0.3}
    only = estimates(rule(where={"source_domain": "a"}), records)
    assert [e.dataset for e in only] == ["chest"]


def test_an_unknown_factor_is_an_error_that_names_it(rule, pairs, frame):
    for fields in ({"by": ["size"]}, {"where": {"size": 64}}):
        with pytest.raises(MedtlError, match="'size' is not recorded"):
            estimates(rule(**fields), frame(pairs([0.1] * 5)))


def test_a_slope_is_numpys_per_doubling(rule, record, frame):
    rng = np.random.default_rng(1)
    values = 0.6 + 0.05 * np.arange(4) + rng.normal(0, 0.01, (6, 4))
    records = frame(curve(record, "full", values))
    trend = rule(kind="trend", trend={"factor": "n", "scale": "log2"}, control=None)
    found = estimates(trend, records)[0].interval
    slopes = [np.polyfit([6, 7, 8, 9], row, 1)[0] for row in values]
    oracle = stats.ttest_1samp(slopes, 0)
    assert found.estimate == pytest.approx(np.mean(slopes), abs=1e-5)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-2)


def test_an_interaction_is_the_slope_of_the_difference(rule, record, frame):
    rng = np.random.default_rng(2)
    full, scratch = rng.normal(0.9, 0.01, (6, 4)), rng.normal([0.6, 0.7, 0.8, 0.9], 0.01, (6, 4))
    records = frame(curve(record, "full", full), curve(record, "scratch", scratch))
    interaction = rule(kind="interaction", trend={"factor": "n", "scale": "log2"}, direction="lower")
    found = estimates(interaction, records)[0].interval
    slopes = [np.polyfit([6, 7, 8, 9], row, 1)[0] for row in full - scratch]
    assert found.estimate == pytest.approx(np.mean(slopes), abs=1e-5)
    ranked = rule(kind="interaction", trend={"factor": "n", "statistic": "spearman"})
    oracle = [stats.spearmanr([6, 7, 8, 9], row).statistic for row in full - scratch]
    assert estimates(ranked, records)[0].interval.estimate == pytest.approx(np.mean(oracle))


def test_a_trend_needs_levels(rule, record, frame):
    records = frame(curve(record, "full", [[0.9]] * 5), curve(record, "scratch", [[0.8]] * 5))
    found = estimates(rule(kind="interaction", trend={"factor": "n"}), records)[0]
    assert found.interval is None
    assert "n = 64" in found.note


def test_p_values_of_margins_are_one_sided(rule, pairs, frame, exactly):
    differences = exactly(0.004, 0.004, 6)
    records = frame(pairs(differences))
    error = 0.004 / 6**0.5
    equal = estimates(rule(kind="equivalence", margin=0.01), records)[0]
    assert equal.p_values.holds == pytest.approx(stats.t.sf(0.006 / error, 5), rel=1e-3)
    assert equal.p_values.opposite == 1.0
    higher = estimates(rule(kind="non_inferiority", margin=0.01), records)[0]
    assert higher.p_values.holds == pytest.approx(stats.t.sf(0.014 / error, 5), rel=1e-3)
    lower = estimates(rule(kind="non_inferiority", margin=0.01, direction="lower"), records)[0]
    assert lower.p_values.holds == pytest.approx(stats.t.sf(0.006 / error, 5), rel=1e-3)
    assert lower.p_values.opposite == pytest.approx(1 - lower.p_values.holds)
    more = estimates(rule(kind="at_least", margin=0.002), records)[0].p_values
    assert more.holds == pytest.approx(stats.t.sf(0.002 / error, 5), rel=1e-3)
    assert more.smaller == pytest.approx(1 - more.holds)


@pytest.mark.parametrize(
    ("op", "bound", "met", "worst"),
    [("<=", 3, True, 3), ("<", 3, False, 3), (">=", 1, True, 1), (">", 1, False, 1), ("==", 2, False, 1)],
)
def test_a_deterministic_rule_looks_at_every_value(rule, record, frame, op, bound, met, worst):
    records = frame([record(arm="identity", seed=s, value=s + 1) for s in range(3)])
    checked = rule(
        kind="deterministic", tolerance={"op": op, "value": bound}, treatment="identity"
    ).model_dump()
    found = estimates(type(rule()).model_validate(checked | {"control": None}), records)[0]
    assert (found.met, found.extremes, found.seeds) == (met, (worst, 1, 3), 3)


def test_a_deterministic_rule_may_compare_arms(rule, record, frame):
    records = frame([record(arm="full", value=10), record(arm="scratch", value=12)])
    smaller = rule(kind="deterministic", tolerance={"op": "<", "value": 0})
    assert estimates(smaller, records)[0].extremes == (-2, -2, -2)


def test_values_count_at_the_precision_that_is_kept(rule, record, frame):
    records = frame([record(arm="identity", value=1.0000004e-5)])
    tolerant = rule(
        kind="deterministic", tolerance={"op": "<=", "value": 1e-5}, treatment="identity"
    ).model_dump()
    assert estimates(type(rule()).model_validate(tolerant | {"control": None}), records)[0].met


def test_a_trend_along_text_is_an_error(rule, record, frame):
    records = [
        record(arm=arm, seed=s, factors={"n": n})
        for arm in ("full", "scratch")
        for s in range(5)
        for n in "abcd"
    ]
    with pytest.raises(MedtlError, match="not numbers"):
        estimates(rule(kind="interaction", trend={"factor": "n"}), frame(records))
