"""Convergence: how often training was still getting better when its budget of steps ended."""

from typing import Any

import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evidence.limits import CONVERGENCE, LAST_TENTH, MOST
from medtl_core.evidence.record import to_frame
from medtl_core.reporting.style import words
from medtl_core.reporting.summaries import Records
from medtl_core.reporting.text_table import TextTable


def convergence_table(
    records: Records | None, by: str | None = "n", labels: dict[str, str] | None = None
) -> TextTable:
    """For each data set, level of the factor `by` and arm: in how many of its seeds the best epoch came late.

    `by` is None for a study without factors.

    Columns: data set, the factor, arm, seeds, the median of `best_step_share`, the share of seeds in which
    it exceeds .9 (0 to 1), and whether that is at most a fifth ("yes" or "no"). Rows stand in the order of
    the records. The table is empty where nothing was recorded (None, or no such metric).

    Raises MedtlError for records without the factor, and where another factor would be averaged over.
    """
    frame = pd.DataFrame() if records is None else records
    frame = frame if isinstance(frame, pd.DataFrame) else to_frame(frame)
    if frame.empty:
        return TextTable()
    if by is not None and by not in frame:
        raise MedtlError(
            f"convergence_table: found no factor {by!r}; the records have {', '.join(frame.columns)}"
        )
    shares = frame[frame["metric"] == CONVERGENCE]
    rows = []
    columns = ["dataset", "target_domain", "arm", *([] if by is None else [by])]
    for (dataset, domain, arm, *level), part in shares.groupby(columns, sort=False):
        if part["seed"].duplicated().any():
            raise MedtlError(
                f"convergence_table: found several trials of a seed of arm {arm!r} in one row, expected one; "
                "choose those of one run, or name the factor in which they differ: by=..."
            )
        late = float((part["value"] > LAST_TENTH).mean())
        rows.append(
            {
                "data set": words(str(dataset), labels) + (f" ({domain})" if domain else ""),
                **({} if by is None else {words(by, labels): _shown(level[0], labels)}),
                "arm": words(str(arm), labels),
                "seeds": part["seed"].nunique(),
                "median share of the budget": float(part["value"].median()),
                "best epoch in the last tenth": late,
                "converged": "yes" if late <= MOST else "no",
            }
        )
    return TextTable(rows)


def _shown(level: Any, labels: dict[str, str] | None) -> Any:
    """A level of a factor as a reader sees it: text in words, numbers as they are."""
    return words(level, labels) if isinstance(level, str) else level
