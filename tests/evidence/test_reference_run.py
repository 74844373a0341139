import getpass
import json
import platform
from dataclasses import replace

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.record_store import RecordStore
from medtl_core.evidence.reference_run import keep_run, open_run, read_kept
from medtl_core.evidence.run_state import RunState, read_state, write_state
from medtl_core.evidence.runs import run_summaries, without_machine


@pytest.fixture
def register(rule, claim, registered):
    return registered(
        claim(rule(reading="weak", by=["n"]), rule(reading="strong", metric="ece")),
        claim(rule(kind="interaction", trend={"factor": "n"}, direction="lower"), id="C018"),
    )


@pytest.fixture
def run(tmp_path, record):
    """A run with two data sets, awkward numbers, predictions and a state."""
    rng = np.random.default_rng(4)
    store = RecordStore(tmp_path / "run")
    labels = np.repeat([0, 1], 20)
    for dataset in ("breastmnist", "phantoms"):
        for n in (64, 128):
            for seed in range(5):
                for arm, base in (("full", 0.9), ("scratch", 0.7)):
                    fields = {"dataset": dataset, "factors": {"n": n, "mark": "x"}, "seed": seed, "arm": arm}
                    trial = [
                        record(metric="auroc", value=base + rng.normal(0, 0.02), seconds=1 / 3, **fields),
                        record(metric="ece", value=rng.uniform(1e-9, 1e-3), direction="lower", **fields),
                        record(metric="steps", value=1234567, direction="lower", **fields),
                    ]
                    positive = np.clip(0.5 + 0.2 * (labels - 0.5) * base + rng.normal(0, 0.1, 40), 0.01, 0.99)
                    scores = np.stack([1 - positive, positive], axis=1)
                    store.add(trial, {"cases": np.arange(40), "labels": labels, "scores": scores})
    state = RunState(
        "02_fine_tuning",
        "02_fine_tuning",
        "done",
        "key",
        [],
        seconds=61.5,
        peak_memory=512 * 2**20,
        budget={"minutes": 1, "memory_gib": 2},
        over_budget=["time"],
        parameters={"dataset": "breastmnist", "seeds": 5, "folder": "/home/someone/data"},
        data={"breastmnist": "ab" * 32},
        executed="/home/someone/run/02.ipynb",
        commit="c0ffee",
        dirty=True,
    )
    write_state(store.root, state)
    environment = {
        "python": "3.11",
        "home": "/root/x",
        "by": getpass.getuser(),
        "versions": {"torch": "2.11"},
    }
    (store.root / "environment.json").write_text(json.dumps(environment))
    return store.root


def test_a_kept_run_has_the_same_ledger(run, register, tmp_path):
    kept = read_kept(keep_run(run, tmp_path / "results" / "teach", register=register))
    ledger = build_ledger(register, RecordStore(run))
    assert "bootstrapped cases" in ledger.rows()[0]["datasets"]["breastmnist"]["strata"][0]["method"]
    assert build_ledger(register, kept).to_json() == ledger.to_json()
    assert json.loads((kept.root / "ledger.json").read_text()) == ledger.rows()
    assert "no predictions" not in ledger.to_json()
    again = read_kept(keep_run(kept.root, tmp_path / "again", register=register))
    assert {p.name: p.read_text() for p in again.root.rglob("*.json*")} == {
        p.name: p.read_text() for p in kept.root.rglob("*.json*")
    }


def test_records_come_back_at_six_digits(run, register, tmp_path):
    kept = read_kept(keep_run(run, tmp_path / "kept", register=register))
    before, after = RecordStore(run).all(), kept.all()
    assert len(before) == len(after) == 120
    for a, b in zip(before, after, strict=True):
        assert (a.identity, a.key, a.direction, a.n_test) == (b.identity, b.key, b.direction, b.n_test)
        assert b.value == pytest.approx(a.value, rel=5e-6)
        assert type(b.factors["n"]) is int
    assert kept.all("01_cnn_basics") == []
    assert kept.predictions(after[0].key) is None


def test_a_study_that_has_changed_is_read_again(run, register, tmp_path):
    kept = read_kept(keep_run(run, tmp_path / "kept", register=register))
    before = kept.all()
    before.clear()  # a list of its own
    (study,) = (kept.root / "records").glob("*/*.jsonl")
    header, *trials = study.read_text().splitlines(keepends=True)
    study.write_text("".join([header, *trials[:-1]]))
    assert len(kept.all()) == 120 - len(json.loads(trials[-1])["metrics"])


def test_it_is_small_text_without_names_of_this_machine(run, register, tmp_path):
    folder = keep_run(run, tmp_path / "kept", register=register)
    texts = [p.read_text() for p in folder.rglob("*") if p.is_file()]
    assert sum(map(len, texts)) < 100_000
    everything = "\n".join(texts)
    for name in ("/home", "/root", "someone", str(tmp_path), platform.node()):
        assert name not in everything
    assert json.loads((folder / "environment.json").read_text()) == {
        "python": "3.11",
        "versions": {"torch": "2.11"},
    }
    summary = run_summaries(folder)[0]
    assert (summary["seconds"], summary["budget_seconds"]) == (61.5, 60)
    assert (summary["peak_mib"], summary["budget_mib"]) == (512, 2048)
    assert summary["parameters"] == {"dataset": "breastmnist", "seeds": 5}
    assert (summary["commit"], summary["dirty"], summary["package"]) == ("c0ffee", True, None)


def test_what_names_the_machine_goes_and_the_rest_stays():
    kept = {"a": "NVIDIA H200", "b": 1, "c": ["1/2", "x86_64", "3 GB/s"], "d": None, "e": "and / or"}
    gone = {
        "f": "/opt/x",
        "g": "C:\\Users",
        "h": f"of {getpass.getuser()}",
        "i": "~/x",
        "j": "python=/usr/bin",
    }
    assert without_machine(kept | gone | {"k": {"l": "/x/y"}}) == kept | {"k": {}}


def test_an_existing_target_is_refused_unless_it_may_be_replaced(run, register, tmp_path):
    target = keep_run(run, tmp_path / "kept", register=register)
    (target / "mine.txt").write_text("x")
    with pytest.raises(MedtlError, match="exists already"):
        keep_run(run, target, register=register)
    assert (target / "mine.txt").exists()
    keep_run(run, target, register=register, overwrite=True)
    assert not (target / "mine.txt").exists()
    other = tmp_path / "thesis"
    other.mkdir()
    with pytest.raises(MedtlError, match="not a kept run"):
        keep_run(run, other, register=register, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "run", "thesis"]


def test_a_failure_on_the_way_leaves_nothing(run, register, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medtl_core.evidence.reference_run.compact", full)
    with pytest.raises(MedtlError, match="No space left"):
        keep_run(run, tmp_path / "kept", register=register)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_open_run_knows_both_kinds_and_refuses_others(run, register, tmp_path):
    kept = keep_run(run, tmp_path / "kept", register=register)
    assert open_run(run).kept is False
    assert open_run(kept).kept is True
    with pytest.raises(MedtlError, match="no run there"):
        open_run(tmp_path)
    with pytest.raises(MedtlError, match="no kept run"):
        read_kept(run)


def test_reading_a_kept_run_names_file_and_line(run, register, tmp_path):
    kept = keep_run(run, tmp_path / "kept", register=register)
    path = kept / "records" / "02_fine_tuning" / "learning_curve.jsonl"
    lines = path.read_text().splitlines()
    broken = {
        "line 1": ["{}", *lines[1:]],
        "line 2": [lines[0], "{}"],
        "line 3": [*lines[:2], lines[2].replace('"full"', "7").replace('"scratch"', "7")],
        "direction": [lines[0].replace('"ece"', '"ace"'), *lines[1:]],
        "double quotes": [*lines, "{"],
    }
    for named, text in broken.items():
        path.write_text("\n".join(text))
        with pytest.raises(MedtlError) as error:
            read_kept(kept).all()
        assert named in str(error.value)
        assert "learning_curve.jsonl" in str(error.value)


def test_nothing_is_written_into_a_kept_run(run, register, rule, claim, tmp_path, registered):
    kept = keep_run(run, tmp_path / "kept", register=register)
    before = {p: p.stat().st_mtime_ns for p in kept.rglob("*")}
    changed = registered(claim(rule(margin=0.02)))
    assert build_ledger(changed, read_kept(kept)).rules_changed == {"C006"}
    assert {p: p.stat().st_mtime_ns for p in kept.rglob("*")} == before


def test_a_state_that_is_none_is_one_line(tmp_path):
    (tmp_path / "state").mkdir()
    for text in ("{", "[]", "{}", '{"notebook": "x", "status": "done", "parameters": 3}'):
        (tmp_path / "state" / "x.json").write_text(text)
        with pytest.raises(MedtlError, match=r"x\.json"):
            run_summaries(tmp_path)


def test_a_kept_run_carries_the_verdicts_of_the_audit_and_older_ones_have_none(run, register, tmp_path):
    kept = keep_run(run, tmp_path / "old", register=register)
    assert "- not audited: breastmnist\n" in (kept / "ledger.md").read_text()
    audits = {"breastmnist": {"word": "leaky", "why": "1 of 156 test images stands in training"}}
    write_state(run, replace(read_state(run, "02_fine_tuning"), audits=audits))
    for options in ({}, {"merge": True}):
        kept = keep_run(run, tmp_path / "new", register=register, **options)
        assert run_summaries(kept)[0]["audits"] == audits
        listed = "- breastmnist: leaky (1 of 156 test images stands in training)\n"
        assert (kept / "ledger.md").read_text().endswith(listed)


@pytest.mark.slow
def test_merging_is_as_if_all_had_been_one_run(run, register, tmp_path, record):
    """Half of the seeds kept first and the rest merged into them give the ledger of the whole run."""
    whole = RecordStore(run)
    halves = [RecordStore(tmp_path / name) for name in ("first", "second")]
    for trial in {r.key: r for r in whole.all()}.values():
        half = halves[trial.seed >= 3]
        half.add(whole.trial(trial.key), whole.predictions(trial.key))
    for half, label in zip(halves, ("a", "b"), strict=True):
        write_state(half.root, RunState(label, "02_fine_tuning", "done", "key", []))
        (half.root / "environment.json").write_text(json.dumps({"python": label}))
    target = tmp_path / "results" / "reference"
    for half in halves:
        keep_run(half.root, target, register=register, merge=True)
    kept = read_kept(target)
    assert len(kept.all()) == len(whole.all())
    both = [build_ledger(register, store).rows()[1] for store in (kept, whole)]
    assert both[0]["datasets"] == both[1]["datasets"]
    assert [row["label"] for row in run_summaries(target)] == ["a", "b"]
    assert json.loads((target / "environment.json").read_text()) == {
        "python": "b", "earlier": [{"python": "a"}],
    }  # fmt: skip
    again = keep_run(halves[1].root, target, register=register, merge=True)
    assert len(read_kept(again).all()) == len(whole.all())


def test_a_rule_that_changed_between_two_starts_is_told_after_merging(
    run, register, tmp_path, rule, claim, registered
):
    target = keep_run(run, tmp_path / "kept", register=register)
    changed = registered(claim(rule(margin=0.02)))
    keep_run(run, target, register=changed, merge=True)
    assert build_ledger(changed, read_kept(target)).rules_changed == {"C006"}


def test_some_notebooks_of_a_run(run, register, tmp_path, record):
    RecordStore(run).add([record(notebook="01_cnn_basics", study="classical", key="c1")])
    target = keep_run(run, tmp_path / "kept", register=register, notebooks=["01_cnn_basics"])
    assert {r.notebook for r in read_kept(target).all()} == {"01_cnn_basics"}
    assert run_summaries(target) == []
    keep_run(run, target, register=register, merge=True, notebooks=["02_fine_tuning"])
    assert {r.notebook for r in read_kept(target).all()} == {"01_cnn_basics", "02_fine_tuning"}
    assert [row["notebook"] for row in run_summaries(target)] == ["02_fine_tuning"]
    with pytest.raises(MedtlError, match="no records of 09_none"):
        keep_run(run, tmp_path / "other", register=register, notebooks=["09_none"])
