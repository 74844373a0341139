"""A table of texts: whole, left, and without what is missing."""

import numpy as np
import pandas as pd

from medtl_core.reporting.text_table import TextTable

LONG = "x" * 80 + " end"


def test_no_text_is_cut_and_no_row_hidden():
    html = TextTable({"text": [LONG] * 100})._repr_html_()
    assert html.count(LONG) == 100
    assert "..." not in html


def test_nothing_stands_where_a_value_is_missing():
    table = TextTable(
        {"a": ["x", None, pd.NA], "b": [1.0, np.nan, 2.0], "c": pd.array([1, None, 3], dtype="Int64")}
    )
    html = table._repr_html_()
    for word in ("NA", "NaN", "None"):
        assert word not in html


def test_row_numbers_are_hidden_and_a_named_index_is_shown():
    table = TextTable({"id": ["C006"], "text": ["t"]})
    assert "<th>0</th>" not in table._repr_html_()
    assert "<th>C006</th>" in table.set_index("id")._repr_html_()


def test_headers_stand_left_and_an_empty_note_is_left_out():
    html = TextTable({"arm": ["full"], "note": [""]})._repr_html_()
    assert "text-align: left" in html.split("</thead>")[0]
    assert "note" not in html


def test_numbers_can_be_read():
    html = TextTable({"v": [0.12345, 65536.4, 12.345, 0.00001]})._repr_html_()
    assert all(text in html for text in (">0.123<", ">65,536<", ">12.3<", ">1e-05<"))


def test_showing_a_table_does_not_change_it():
    table = TextTable({"a": ["x", None], "note": ["", ""]})
    table._repr_html_()
    assert list(table) == ["a", "note"]
    assert table["a"].isna().tolist() == [False, True]
