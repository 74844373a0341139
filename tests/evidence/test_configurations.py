"""Records of several configurations of a notebook: judged apart, or pooled where the rule says so."""

import pytest

from medtl_core.evidence.estimation import estimates, overall_estimates
from medtl_core.evidence.record import to_frame
from medtl_core.evidence.rules.kinds import checked

SMALL = {"backbone": "resnet18", "steps": 60}
LARGE = {"backbone": "vgg16", "steps": 60}


@pytest.fixture
def two(pairs, exactly):
    """An effect of .1 with the small network, none with the large one."""
    return to_frame(
        [
            *pairs(exactly(0.1, 0.01), configuration=SMALL),
            *pairs(exactly(0.0, 0.01), configuration=LARGE, base=0.3),
        ]
    )


def test_one_configuration_changes_nothing(judge, rule, pairs, exactly):
    bare, configured = (
        judge(rule(), to_frame(pairs(exactly(0.1, 0.01), **fields)))
        for fields in ({}, {"configuration": SMALL})
    )
    assert (configured.verdict, configured.reason) == (bare.verdict, bare.reason)
    assert configured.datasets["breastmnist"].strata[0].estimate.stratum == {}


def test_configurations_are_strata_named_by_what_sets_them_apart(judge, rule, two):
    found = estimates(rule(), two)
    assert [e.stratum for e in found] == [{"backbone": "resnet18"}, {"backbone": "vgg16"}]
    assert [round(e.interval.estimate, 6) for e in found] == [0.1, 0.0]
    result = judge(rule(margin=0.05), two)
    assert result.verdict == "not supported"
    assert "supported on backbone = resnet18; not supported on backbone = vgg16" in result.reason


def test_pairs_never_cross_configurations(rule, two, pairs, exactly):
    crossed = two[(two["arm"] == "full") == (two["configuration"].str.contains("resnet18"))]
    assert set(crossed["arm"]) == {"full", "scratch"}
    assert estimates(rule(), crossed) == []
    pooled = estimates(rule(configurations="pooled"), crossed)
    assert [e.interval for e in pooled] == [None]


def test_a_rule_may_pool_configurations_and_the_reason_says_so(judge, rule, two):
    asked = rule(configurations="pooled")
    found = estimates(asked, two)
    assert [(e.stratum, round(e.interval.estimate, 6)) for e in found] == [({}, 0.05)]
    assert "2 configurations pooled" in judge(asked, two).reason
    assert asked.version != rule().version


def test_factors_and_configurations_are_strata_together(rule, pairs, exactly):
    records = to_frame(
        record
        for configuration in (SMALL, LARGE)
        for n in (64, 128)
        for record in pairs(exactly(0.1, 0.01), configuration=configuration, factors={"n": n})
    )
    found = estimates(rule(by=["n"]), records)
    assert [tuple(e.stratum.values()) for e in found] == [
        ("resnet18", 64), ("resnet18", 128), ("vgg16", 64), ("vgg16", 128),
    ]  # fmt: skip
    assert overall_estimates(rule(by=["n"]), records)["breastmnist"].seeds == 5


def test_a_setting_called_like_a_factor_keeps_its_own_name(rule, pairs):
    records = to_frame(
        record for n in (8, 9) for record in pairs([0.1] * 5, configuration={"n": n}, factors={"n": 64})
    )
    assert [e.stratum for e in estimates(rule(by=["n"]), records)] == [
        {"configured n": 8, "n": 64},
        {"configured n": 9, "n": 64},
    ]


def test_what_only_one_configuration_sets_is_not_set_in_the_other(rule, pairs):
    records = to_frame(
        record for settled in ({}, {"sizes": [16, 64]}) for record in pairs([0.1] * 5, configuration=settled)
    )
    assert [e.stratum for e in estimates(rule(), records)] == [{"sizes": "not set"}, {"sizes": "16 64"}]


def test_configurations_of_different_data_sets_need_no_telling(judge, rule, pairs, exactly):
    records = to_frame(
        [
            *pairs(exactly(0.1, 0.01), configuration=SMALL),
            *pairs(exactly(0.1, 0.01), configuration=LARGE, dataset="chest"),
        ]
    )
    assert judge(rule(), records).reason == "supported on breastmnist, chest"


def test_heterogeneity_compares_within_a_configuration(judge, rule, record):
    def depths(configured):
        return [
            record(arm="full", dataset=name, seed=seed, value=value, configuration=settled)
            for name, settled, value in configured
            for seed in range(5)
        ]

    asked = checked(rule(kind="heterogeneity"))
    once = judge(asked, to_frame(depths([("a", SMALL, 0.0), ("b", LARGE, 3.0)])))
    assert once.verdict == "supported"
    apart = judge(
        asked,
        to_frame(depths([("a", SMALL, 0.0), ("a", LARGE, 0.0), ("b", SMALL, 3.0), ("b", LARGE, 0.0)])),
    )
    assert apart.verdict == "inconclusive"
    assert "backbone = resnet18: means a 0, b 3" in apart.reason
    assert "backbone = vgg16: means a 0, b 0" in apart.reason
