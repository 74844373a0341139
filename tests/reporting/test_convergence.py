import pandas as pd
import pytest

from medtl_core import reporting as show
from medtl_core.errors import MedtlError


def rows(arm, shares, n=64, dataset="chest", domain=""):
    return [
        {"dataset": dataset, "target_domain": domain, "arm": arm, "n": n, "seed": seed, "value": value,
         "metric": "best_step_share"}
        for seed, value in enumerate(shares)
    ]  # fmt: skip


def test_shares_as_counted_on_paper():
    late_twice = rows("full", [0.1, 0.2, 0.3, 0.95, 1.0])
    late_once = rows("full", [0.1, 0.2, 0.3, 0.4, 1.0], n=256)
    other = rows("scratch", [0.9, 0.9], dataset="cells", domain="a")
    score = [{**row, "metric": "auroc", "value": 1.0} for row in other]
    table = show.convergence_table(
        pd.DataFrame([*late_twice, *late_once, *other, *score]), labels={"full": "tuned"}
    )
    assert table["best epoch in the last tenth"].tolist() == pytest.approx([0.4, 0.2, 0.0])
    assert table["converged"].tolist() == ["no", "yes", "yes"]  # .9 itself does not lie in the last tenth
    assert table["arm"].tolist() == ["tuned", "tuned", "scratch"]
    assert table["seeds"].tolist() == [5, 5, 2]
    assert table["data set"].tolist()[-1] == "cells (a)"
    assert table["median share of the budget"].tolist() == pytest.approx([0.3, 0.3, 0.9])


def test_a_level_in_words_is_shown_in_words():
    found = [{**row, "shift": "a to b"} for row in rows("full", [0.5])]
    assert (
        show.convergence_table(pd.DataFrame(found), by="shift", labels={"a to b": "A → B"})["shift"][0]
        == "A → B"
    )


def test_nothing_recorded_is_an_empty_table():
    assert show.convergence_table(None).empty
    old = pd.DataFrame(rows("full", [0.5])).assign(metric="auroc")
    assert show.convergence_table(old).empty


def test_what_another_factor_tells_apart_is_not_averaged():
    two_sizes = rows("full", [0.1, 0.2]) + rows("full", [1.0, 1.0], n=256)
    with pytest.raises(MedtlError, match="several trials of a seed of arm 'full' in one row"):
        show.convergence_table(pd.DataFrame(two_sizes), by=None)


def test_names_a_factor_that_is_not_there():
    with pytest.raises(MedtlError, match="no factor 'cut'"):
        show.convergence_table(pd.DataFrame(rows("full", [0.5])), by="cut")
