"""A table of texts that a notebook shows whole."""

import re

import pandas as pd


def _number(value: float) -> str:
    """At most three digits after the point, and never a power of ten for what a reader can count."""
    if value and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


class TextTable(pd.DataFrame):
    """A data frame that a notebook shows whole: no text cut off, no row hidden, no word for a missing value.

    Texts and their headers stand left. Row numbers are not shown; an index that has a name is. A column
    without any content (a note that nothing needed) is left out.
    """

    @property
    def _constructor(self) -> type["TextTable"]:
        return TextTable

    def _repr_html_(self) -> str:
        shown = pd.DataFrame(self)
        empty = [column for column in shown if shown[column].isin(["", None]).all() and len(shown)]
        shown = shown.drop(columns=empty)
        for column in shown.select_dtypes(exclude="float"):
            shown[column] = shown[column].astype(object).where(shown[column].notna(), "")
        numbered = isinstance(self.index, pd.RangeIndex) and self.index.name is None
        with pd.option_context("display.max_colwidth", None):
            html = shown.to_html(
                na_rep="", border=0, justify="left", index=not numbered, float_format=_number
            )
        unindented = re.sub(r"\n +", "\n", html)  # a fifth of a large table is indentation
        return unindented.replace("<td>", '<td style="text-align: left; vertical-align: top">')
