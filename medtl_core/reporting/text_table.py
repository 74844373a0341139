"""A table of texts that a notebook shows whole."""

import pandas as pd


class TextTable(pd.DataFrame):
    """A data frame that a notebook shows with its whole texts, aligned left."""

    @property
    def _constructor(self) -> type["TextTable"]:
        return TextTable

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            html = self.to_html(na_rep="", border=0, justify="left", float_format="{:.3g}".format)
        return html.replace("<td>", '<td style="text-align: left; vertical-align: top">')
