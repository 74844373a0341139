"""The words of a comparison: what was compared, by which metric, on which data, and by how much."""

import re
from collections.abc import Mapping

from medtl_core.evaluation.metric_words import metric_in_words, range_of
from medtl_core.evaluation.rounding import counted, decimals_for, number
from medtl_core.evidence.pairing import level_name
from medtl_core.evidence.rule import Rule, Span
from medtl_core.evidence.rule_verdict import DatasetVerdict, RuleVerdict, StratumVerdict
from medtl_core.evidence.rules.estimate import Estimate


def subject_in_words(rule: Rule, words: Mapping[str, str]) -> str:
    """`AUROC of mixup minus no augmentation`: what a rule compares, and by which metric."""
    metric = rule_metric_in_words(rule, words)
    arm = words.get(rule.treatment or "", (rule.treatment or "").replace("_", " "))
    compared = arm
    if rule.control is not None:
        against = "relative to" if is_ratio(rule) else "minus"
        compared = f"{arm} {against} {words.get(rule.control, rule.control.replace('_', ' '))}"
    compared += _restriction(rule, words)
    if rule.trend is None:
        return f"{metric} of {compared}"
    factor = words.get(rule.trend.factor, rule.trend.factor)
    if rule.trend.statistic == "spearman":
        return f"rank correlation of {metric} with {factor}, {compared}"
    step = "per doubling of" if rule.trend.scale == "log2" else "per unit of"
    log = "logarithm of " if rule.trend.value_scale == "log" else ""
    return f"change of {log}{metric} {step} {factor}, {compared}"


def _restriction(rule: Rule, words: Mapping[str, str]) -> str:
    """The levels to which a rule is restricted: ` (corruption: noise; training images: up to 64)`."""
    told = []
    for factor, allowed in rule.where.items():
        if isinstance(allowed, Span):
            ends = (("from", allowed.min), ("up to", allowed.max))
            levels = " ".join(f"{word} {end:g}" for word, end in ends if end is not None)
        else:
            every = allowed if isinstance(allowed, list) else [allowed]
            levels = ", ".join(words.get(name, name.replace("_", " ")) for name in map(level_name, every))
        told.append(f"{words.get(factor, factor.replace('_', ' '))}: {levels}")
    return f" ({'; '.join(told)})" if told else ""


def data_set_in_words(dataset: str, result: RuleVerdict, words: Mapping[str, str]) -> str:
    """A data set in words, with its domains where the rule has several of it: `chest X-rays, NIH`."""
    archive, _, inside = dataset.partition(" (")
    name = words.get(dataset, words.get(archive, archive))
    if sum(other.partition(" (")[0] == archive for other in result.datasets) < 2:
        return name
    domains = dict.fromkeys(inside.removesuffix(")").split(" → "))
    return f"{name}, {' to '.join(words.get(domain, domain) for domain in domains)}"


def estimate_in_words(
    result: RuleVerdict, dataset: DatasetVerdict, judged: StratumVerdict, words: Mapping[str, str]
) -> str:
    """`+.02 [−.01, +.05] on chest X-rays, 64 training images (10 seeds, 200 test images)`."""
    rule, estimate = result.rule, judged.estimate
    interval = estimate.interval
    assert interval is not None
    values = [interval.estimate, interval.low, interval.high]
    times = is_ratio(rule)
    if times:
        values = [2**value for value in values]
    signed = not times and (rule.control is not None or rule.trend is not None)
    decimals = decimals_for((values[2] - values[1]) / 2, range_of(rule.metric) == (0.0, 1.0))
    size, low, high = (number(value, decimals, sign=signed) for value in values)
    if times:
        size = f"× {size}"
    name = data_set_in_words(dataset.name, result, words)
    at = "".join(f", {_level(factor, level, words)}" for factor, level in estimate.stratum.items())
    return f"{size} [{low}, {high}] on {name}{at} ({_basis(estimate)})"


def is_ratio(rule: Rule) -> bool:
    """Differences of logarithms are told as factors: "× .06" rather than −4.0."""
    return rule.metric.startswith("log2_") and rule.trend is None


def rule_metric_in_words(rule: Rule, words: Mapping[str, str]) -> str:
    """The metric, without "(log2)" where its values are told as factors."""
    metric = metric_in_words(rule.metric, dict(words))
    return re.sub(r" \(log2.*\)", "", metric) if is_ratio(rule) else metric


def with_names(reason: str, rule: Rule, words: Mapping[str, str]) -> str:
    """A reason with the names of the rule's arms and metric in words."""
    for name in (rule.treatment, rule.control):
        if name:
            reason = re.sub(rf"\b{re.escape(name)}\b", words.get(name, name.replace("_", " ")), reason)
    metric = rule_metric_in_words(rule, words)
    if metric[1:2].islower():  # not an acronym
        metric = metric[:1].lower() + metric[1:]
    return re.sub(rf"\b{re.escape(rule.metric)}\b", metric, reason)


def _level(factor: str, level: object, words: Mapping[str, str]) -> str:
    """`64 training images` where the factor has a word, else `severity = 2`; names stand alone."""
    name = level_name(level)
    if isinstance(level, int | float) and not isinstance(level, bool):
        return f"{name} {words[factor]}" if factor in words else f"{factor.replace('_', ' ')} = {name}"
    return words.get(name, name.replace("_", " "))


def _basis(estimate: Estimate) -> str:
    seeds = counted(estimate.seeds, "seed")
    if estimate.cases is False and estimate.n_test:
        return f"{seeds}, {estimate.n_test} test images, interval over seeds alone"
    return f"{seeds}, {estimate.n_test} test images" if estimate.cases and estimate.n_test else seeds
