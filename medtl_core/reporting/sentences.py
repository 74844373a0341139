"""Sentences made from records: what is seen, in words, with its numbers. Nothing in them is typed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from medtl_core.evaluation.metric_words import metric_in_words, range_of
from medtl_core.evaluation.rounding import decimals_for, number
from medtl_core.evidence.record import to_frame
from medtl_core.reporting.markdown_text import Prose
from medtl_core.reporting.reference import NOTHING_KEPT, heading, reference_records
from medtl_core.reporting.rows import NO_BREAK, group_in_words, seeds_in_words
from medtl_core.reporting.style import words
from medtl_core.reporting.summaries import Records, Summary, arm_summaries, pair_summaries, select

SENSIBLE = 1e-12
"""Differences below this are round-off."""


def difference_sentence(
    records: Records,
    treatment: str,
    control: str,
    metric: str,
    *,
    by: str | Sequence[str] = (),
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
) -> Prose:
    """What one arm gains over another within a seed: higher, lower or no clear difference by the interval.

    "No clear difference" is said where the 95 % paired t-interval holds 0. Several groups (levels of the
    factors in `by`, data sets) get a line each. Labels of arms should read well in a sentence ("fine-tuning",
    "training from scratch"). Errors as `summaries.select`.

    >>> difference_sentence(records, "full", "scratch", "auroc", labels={"full": "fine-tuning"})
    """
    chosen = select(
        records, metric, by=by, average_over=average_over, arms=[treatment, control], labels=labels
    )
    found = pair_summaries(chosen, [(treatment, control)])
    return _lines(found, labels, lambda s: _difference(s, metric, chosen.direction, labels))


def arm_sentence(
    records: Records,
    arm: str,
    metric: str,
    *,
    by: str | Sequence[str] = (),
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
) -> Prose:
    """What one arm reached, with its interval. Arguments and errors as `difference_sentence`.

    >>> arm_sentence(records, "full", "auroc", by="n")
    """
    chosen = select(records, metric, by=by, average_over=average_over, arms=[arm], labels=labels)
    return _lines(arm_summaries(chosen, [arm]), labels, lambda s: _level(s, metric, chosen.direction, labels))


def in_both_runs(
    sentence: Callable[..., Prose],
    this_run: Records | None,
    *args: Any,
    notebook: str,
    study: str,
    reference: str | Path | None = None,
    datasets: Sequence[str] | None = None,
    where: Callable[[pd.DataFrame], pd.Series] | None = None,
    **options: Any,
) -> Prose:
    """A sentence for this run and the same one for the reference run, as `side_by_side` does for a figure.

    `sentence` is `difference_sentence` or `arm_sentence`; `this_run` is None where nothing was trained.

    >>> in_both_runs(difference_sentence, records, "full", "scratch", "auroc", notebook=NOTEBOOK, study=NAME)
    """
    kept = reference_records(notebook, study, reference=reference, datasets=datasets)
    parts = []
    mine = this_run if isinstance(this_run, pd.DataFrame) or this_run is None else to_frame(this_run)
    for name, frame in (("this run", mine), ("reference", kept)):
        if frame is not None and where is not None:
            frame = frame[where(frame)]
        if frame is not None and not frame.empty:
            title = heading(name, frame, options.get("labels"))
            said = sentence(frame, *args, **options)
            between = "\n\n" if said.startswith("- ") else " "
            parts.append(f"**{_capital(title)}.**{between}{said}")
        elif name == "reference":
            parts.append(f"**Reference.** {NOTHING_KEPT}")
    return Prose("\n\n".join(parts))


def _lines(
    summaries: Sequence[Summary], labels: dict[str, str] | None, say: Callable[[Summary], str]
) -> Prose:
    if len(summaries) == 1 and not summaries[0].group:
        return Prose(say(summaries[0]))
    rows = [(group_in_words(s.group, labels).replace(NO_BREAK, " "), say(s)) for s in summaries]
    return Prose("\n".join(f"- **{group}.** {text}" for group, text in rows))


def _difference(s: Summary, metric: str, direction: str, labels: dict[str, str] | None) -> str:
    treatment, control = (words(arm, labels) for arm in s.arms)
    name = metric_in_words(metric, labels)
    if not s.values:
        return f"{_capital(treatment)} and {control} cannot be compared in {name}: {s.note}."
    note = f" ({s.note}.)" if s.note and s.interval is not None else ""
    if s.interval is None:
        size = number(abs(s.mean), 2)
        if abs(s.mean) < SENSIBLE:
            return f"In the one seed measured, {treatment} and {control} had the same {name}."
        return (
            f"In the one seed measured, {treatment} {_had(direction)} {_a(name)} {size} {_way(s.mean)} than "
            f"{control}; one seed gives no interval."
        )
    if s.interval.sd < SENSIBLE and abs(s.mean) < SENSIBLE:
        return f"{_capital(treatment)} and {control} had the same {name} in all {len(s.values)} seeds.{note}"
    bounded = range_of(metric) == (0.0, 1.0)
    decimals = decimals_for((s.high - s.low) / 2, bounded)
    if s.low <= 0.0 <= s.high:
        inside = _interval(s.low, s.high, decimals, s)
        size = number(s.mean, decimals, sign=True)
        both = f"{_capital(treatment)} and {control}"
        return f"{both} show no clear difference in {name}: {size} ({inside}).{note}"
    low, high = sorted((abs(s.low), abs(s.high)))
    # The end nearer to 0 must not be rounded to it.
    decimals = max(decimals, decimals_for(low, bounded))
    aside = ", where lower is better" if direction == "lower" else ""
    size = f"{number(abs(s.mean), decimals)} {_way(s.mean)}"
    return (
        f"{_capital(treatment)} {_had(direction)} {_a(name)} {size} than {control} "
        f"({_interval(low, high, decimals, s)}){aside}.{note}"
    )


def _level(s: Summary, metric: str, direction: str, labels: dict[str, str] | None) -> str:
    arm, name = words(s.arms[0], labels), metric_in_words(metric, labels)
    if not s.values:
        return f"{_capital(arm)} was not measured."
    if s.interval is None:
        return (
            f"{_capital(arm)} {_had(direction)} {_a(name)} of {number(s.mean, 2)} in the one seed measured."
        )
    decimals = decimals_for((s.high - s.low) / 2, range_of(metric) == (0.0, 1.0))
    inside = _interval(s.low, s.high, decimals, s)
    note = f" ({s.note}.)" if s.note else ""
    return f"{_capital(arm)} {_had(direction)} {_a(name)} of {number(s.mean, decimals)} ({inside}).{note}"


def _interval(low: float, high: float, decimals: int, s: Summary) -> str:
    ends = f"{number(low, decimals)} to {number(high, decimals)}"
    return f"95 % interval {ends}, {seeds_in_words([s])}"


def _had(direction: str) -> str:
    return "had" if direction == "lower" else "reached"


def _way(value: float) -> str:
    return "higher" if value > 0 else "lower"


def _a(name: str) -> str:
    """The name with its article: an AUROC, an F1, a Brier score, a drop."""
    first = name.split()[0]
    spelt = (len(first) > 1 and first[1].isupper()) or (len(first) > 1 and first[1].isdigit())
    vowel = first[0] in ("AEFHILMNORSX" if spelt else "aeiouAEIO")
    return f"{'an' if vowel else 'a'} {name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
