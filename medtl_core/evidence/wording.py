"""Rules in plain words, for tables and the report."""

from typing import Any

from medtl_core.evidence.register import Rule, Span


def rule_in_words(rule: Rule) -> str:
    """A rule as one sentence: what is compared, along or for each of what, and how it is combined."""
    return (
        f"{rule.kind.replace('_', '-')}: {_claim(rule)}{_strata(rule)} (study {rule.study}{_filters(rule)}; "
        f"data sets: {rule.combine})"
    )


def effect_in_words(rule: Rule) -> str:
    """The axis of a forest plot: the effect with its metric, and which way the statement points."""
    compared = f"{rule.treatment} − {rule.control}" if rule.control else rule.treatment or "value"
    unit = ""
    if rule.trend:
        along = {"linear": "per unit of", "log2": "per doubling of"}[rule.trend.scale]
        spearman = rule.trend.statistic == "spearman"
        unit = (
            f", rank correlation with {rule.trend.factor}"
            if spearman
            else f", slope {along} {rule.trend.factor}"
        )
    if rule.kind == "equivalence":
        return f"{rule.metric}: {compared}{unit} (stated: no difference)"
    if rule.kind in ("deterministic", "heterogeneity"):
        return f"{rule.metric}: {compared}"
    way = {"higher": "above 0", "lower": "below 0"}[rule.direction]
    return f"{rule.metric}: {compared}{unit} (stated: {way})"


def _claim(rule: Rule) -> str:
    compared = f"{rule.treatment} − {rule.control}" if rule.control else rule.treatment or "every arm"
    if rule.kind == "deterministic" and rule.tolerance:
        return f"{rule.metric} of {compared} {rule.tolerance.op} {rule.tolerance.value:g}"
    if rule.kind == "heterogeneity":
        return f"{rule.metric} of {compared} differs more between data sets than between seeds"
    if rule.kind == "equivalence":
        return f"{compared} in {rule.metric} lies within ±{rule.margin:g}"
    if rule.kind == "non_inferiority":
        way = {"higher": "above", "lower": "below"}[rule.direction]
        sign = {"higher": "−", "lower": "+"}[rule.direction]
        return f"{compared} in {rule.metric} is {way} {sign}{rule.margin:g}"
    smallest = f", smallest effect of interest {rule.margin:g}" if rule.margin else ""
    if rule.trend:
        way = {"higher": "rises", "lower": "falls"}[rule.direction]
        statistic = f"{rule.trend.scale} {rule.trend.statistic}"
        return f"{rule.metric} of {compared} {way} along {rule.trend.factor} ({statistic}){smallest}"
    way = {"higher": "above 0", "lower": "below 0"}[rule.direction]
    return f"{compared} in {rule.metric} is {way}{smallest}"


def _strata(rule: Rule) -> str:
    return f", for each {' and '.join(rule.by)}" if rule.by else ""


def _filters(rule: Rule) -> str:
    return "".join(f"; {name} {_wanted(wanted)}" for name, wanted in rule.where.items())


def _wanted(wanted: Any) -> str:
    if isinstance(wanted, Span):
        ends = [("at least", wanted.min), ("at most", wanted.max)]
        return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)
    return "is " + " or ".join(str(w) for w in (wanted if isinstance(wanted, list) else [wanted]))
