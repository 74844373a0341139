"""Tidy tables from records: arms with their intervals, and differences between arms within each seed."""

from collections.abc import Sequence
from typing import Any

from medtl_core.reporting.style import words
from medtl_core.reporting.summaries import Records, Summary, arm_summaries, pair_summaries, select
from medtl_core.reporting.text_table import TextTable


def arm_table(
    records: Records,
    metric: str,
    *,
    by: str | Sequence[str] = (),
    arms: Sequence[str] | None = None,
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
) -> TextTable:
    """One row a group and arm: mean over seeds, 95 % t-interval, number of seeds, and what is missing.

    `records` is the table that `Study.run` returns, or records. Groups are the levels of the factors in `by`
    and, where there are several, the data sets. `low` and `high` are those of `statistics.mean_t`: empty for
    one seed, and not cut off at the metric's range. Errors as `summaries.select`.

    >>> arm_table(records, "auroc", by="n", labels={"full": "full fine-tuning"})
    """
    found = arm_summaries(
        select(records, metric, by=by, average_over=average_over, arms=arms, labels=labels), arms
    )
    rows = [_row(s, labels) | {"arm": words(s.arms[0], labels), "mean": s.mean} | _rest(s) for s in found]
    return TextTable(rows)


def paired_table(
    records: Records,
    pairs: Sequence[tuple[str, str]],
    metric: str,
    *,
    by: str | Sequence[str] = (),
    average_over: str | Sequence[str] = (),
    labels: dict[str, str] | None = None,
) -> TextTable:
    """One row a group and pair (treatment, control): the mean of treatment - control within each seed.

    `low` and `high` are the 95 % interval of `statistics.paired_t`. Seeds that only one arm has are left out,
    and the column `note` names them; a pair that was not measured keeps its row. Else as `arm_table`.

    >>> paired_table(records, [("full", "scratch")], "auroc", by="n")
    """
    arms = [arm for pair in pairs for arm in pair]
    found = pair_summaries(
        select(records, metric, by=by, average_over=average_over, arms=arms, labels=labels), pairs
    )
    rows = [
        _row(s, labels) | {"pair": pair_in_words(s, labels), "difference": s.mean} | _rest(s) for s in found
    ]
    return TextTable(rows)


def pair_in_words(summary: Summary, labels: dict[str, str] | None = None) -> str:
    """The pair of a summary: treatment − control, in words."""
    return " − ".join(words(arm, labels) for arm in summary.arms)


def _row(summary: Summary, labels: dict[str, str] | None) -> dict[str, Any]:
    return {words(name, labels): words(level, labels) for name, level in summary.group.items()}


def _rest(summary: Summary) -> dict[str, Any]:
    interval = {"low": summary.low, "high": summary.high}
    return interval | {"seeds": len(summary.values), "note": summary.note}
