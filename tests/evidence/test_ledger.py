import json

import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.ledger import build_ledger, write_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.reporting.verdict_tables import notebook_verdicts, statements_table


@pytest.fixture
def store(tmp_path, pairs, exactly):
    store = RecordStore(tmp_path / "run")
    for n, mean in ((64, 0.1), (128, 0.06)):
        for r in pairs(exactly(mean, 0.01), factors={"n": n}):
            store.add([r])
        for r in pairs(exactly(mean / 2, 0.01), factors={"n": n}, dataset="chest_xray_64"):
            store.add([r])
    return store


@pytest.fixture
def register(rule, claim, registered):
    return registered(
        claim(rule(reading="weak", by=["n"]), rule(reading="strong", margin=0.5)),
        claim(id="C007", handling="literature", source="a | b\nc", notebook=None, section="2"),
        claim(rule(study="unrun"), id="C008", notebook="01_cnn_basics"),
    )


def test_rows_are_what_the_command_line_prints(store, register):
    rows = json.loads(build_ledger(register, store).to_json())
    assert [row["id"] for row in rows] == ["C006", "C007", "C008"]
    row = rows[0]
    assert (row["verdict"], row["strong"]) == ("supported", "not supported")
    assert row["parts"] == {"breastmnist": "supported", "chest_xray_64": "supported"}
    assert row["sentence"].startswith("AUROC of full minus scratch: +.10 [")
    assert row["rule"] == "superiority"
    assert set(row["datasets"]) == {"breastmnist", "chest_xray_64"}
    found = row["datasets"]["breastmnist"]
    assert {"verdict", "estimate", "low", "high", "seeds", "strata"} <= set(found)
    assert found["verdict"] == "supported"
    assert found["estimate"] == pytest.approx(0.08)
    assert found["low"] < found["estimate"] < found["high"]
    assert found["seeds"] == 5
    assert [s["levels"] for s in found["strata"]] == [{"n": 64}, {"n": 128}]
    assert [s["estimate"] for s in found["strata"]] == pytest.approx([0.1, 0.06])
    assert [r["reading"] for r in row["rules"]] == ["weak", "strong"]
    assert [r["verdict"] for r in row["rules"]] == ["supported", "not supported"]
    assert rows[1]["rule"] is None
    assert rows[2]["verdict"] == "pending"


def test_a_data_set_has_one_word_over_all_deciding_rules(store, rule, claim, registered):
    entry = claim(rule(), rule(margin=0.5, hypothesis="by far"), rule(margin=0.001, hypothesis="at all"))
    row = build_ledger(registered(entry), store).rows()[0]
    assert [r["datasets"]["breastmnist"]["verdict"] for r in row["rules"]] == [
        "supported", "not supported", "supported",
    ]  # fmt: skip
    assert row["datasets"]["breastmnist"]["verdict"] == "not supported"


def test_a_notebook_alone_and_counts(store, register):
    assert [v.claim.id for v in build_ledger(register, store, "01_cnn_basics").verdicts] == ["C008"]
    counts = build_ledger(register, store).counts()
    assert counts == {"supported": 1, "literature only": 1, "pending": 1}


def test_tables_hold_every_row_and_escape(store, register):
    ledger = build_ledger(register, store)
    markdown = ledger.to_markdown()
    assert len([line for line in markdown.splitlines() if line.startswith("| C")]) == 3
    assert "a \\| b c" in markdown
    assert ledger.to_frame()["verdict"].tolist() == [v.verdict for v in ledger.verdicts]


def test_a_rule_changed_after_measurement_is_marked(store, register, rule, claim, registered):
    assert not build_ledger(register, store).rules_changed
    reworded = registered(
        claim(rule(reading="weak", by=["n"], hypothesis="reworded"), rule(reading="strong", margin=0.5))
    )
    assert not build_ledger(reworded, store).rules_changed
    changed = registered(claim(rule(reading="weak", by=["n"], margin=0.02)))
    ledger = build_ledger(changed, store)
    assert ledger.rules_changed == {"C006"}
    assert ledger.rows()[0]["rule_changed_after_measurement"]
    assert "rule changed after measurement" in ledger.rows()[0]["reason"]
    assert build_ledger(changed, store).rules_changed == {"C006"}
    assert not build_ledger(register, store).rules_changed
    added = registered(*register.entries, claim(rule(metric="ece"), id="C099"))
    assert build_ledger(added, store).rules_changed == {"C099"}


@pytest.mark.parametrize(("dataset", "exploratory"), [("breastmnist", {"C006"}), ("new", set())])
def test_only_new_data_or_seeds_take_the_rules_of_now(
    store, register, rule, claim, pairs, exactly, registered, dataset, exploratory
):
    build_ledger(register, store)
    for file in store.records_folder.rglob("*.jsonl"):
        file.unlink()
    for r in pairs(exactly(0.1, 0.01), n_test=999, dataset=dataset):  # trials of other keys
        store.add([r])
    changed = registered(claim(rule(margin=0.02)))
    assert build_ledger(changed, store).rules_changed == exploratory


def test_a_broken_record_of_the_rules_is_one_line(store, register):
    (store.root / "rules_at_run.json").write_text("[1]")
    with pytest.raises(MedtlError, match=r"rules_at_run\.json"):
        build_ledger(register, store)


def test_write_ledger_leaves_one_file(store, register):
    path = write_ledger(build_ledger(register, store), store.root)
    assert json.loads(path.read_text())[0]["id"] == "C006"


def test_notebooks_get_tables_with_whole_texts(store, register):
    statements = statements_table("02_fine_tuning", register)
    assert statements.loc["C006", "statement"] == "Pretrained networks need fewer images."
    assert "superiority: full − scratch in auroc" in statements._repr_html_()
    verdicts = notebook_verdicts("02_fine_tuning", store, register)
    assert verdicts["there"].tolist() == ["supported"] * 2 + ["not supported"] * 2
    assert verdicts["seeds"].tolist() == [5] * 4
    waiting = notebook_verdicts("01_cnn_basics", store, register)
    assert waiting["reason"].tolist() == ["not measured in this run"]
    assert waiting["estimate"].isna().all()


def test_the_default_store_is_this_processes_folder(store, register, monkeypatch):
    monkeypatch.setenv("MEDTL_OUT", str(store.root))
    assert len(notebook_verdicts("02_fine_tuning", register=register)) == 4
