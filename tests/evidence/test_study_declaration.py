import json
from multiprocessing import get_context
from pathlib import Path

import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.record_store import RecordStore, declare_check, record_check
from medtl_core.evidence.reference_run import keep_run, read_kept
from medtl_core.evidence.study_declaration import StudyDeclaration, declare, read_declarations

CURVE = ("02_fine_tuning", "learning_curve")


def declaration(**fields) -> StudyDeclaration:
    row = {
        "notebook": CURVE[0],
        "study": CURVE[1],
        "arms": ("scratch", "full"),
        "factors": {"n": (64, 16)},
        "metrics": {"auroc": "higher"},
    }
    return StudyDeclaration(**(row | fields))


def test_a_declaration_comes_back_in_order(tmp_path):
    declare(tmp_path, declaration())
    found = read_declarations(RecordStore(tmp_path))[CURVE]
    assert found == declaration()
    assert (found.arms, found.factors) == (("full", "scratch"), {"n": (16, 64)})


def test_declaring_again_adds_and_takes_nothing_away(tmp_path):
    declare(tmp_path, declaration())
    declare(tmp_path, declaration(arms=("probe",), factors={"n": (256,), "mark": ("cross",)}))
    declare(tmp_path, declaration(metrics={"ece": "lower"}))
    found = read_declarations(RecordStore(tmp_path))[CURVE]
    assert found.arms == ("full", "probe", "scratch")
    assert found.factors == {"mark": ("cross",), "n": (16, 64, 256)}
    assert found.metrics == {"auroc": "higher", "ece": "lower"}


def _declare_levels(folder: Path, first: int) -> None:
    for level in range(first, first + 20):
        declare(folder, declaration(factors={"n": (level,)}))


def test_processes_that_declare_at_the_same_time_lose_nothing(tmp_path):
    context = get_context("fork")
    processes = [context.Process(target=_declare_levels, args=(tmp_path, 20 * i)) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert read_declarations(RecordStore(tmp_path))[CURVE].factors["n"] == tuple(range(80))


def test_declarations_are_no_records(tmp_path, record):
    store = RecordStore(tmp_path)
    store.add([record()])
    declare(tmp_path, declaration())
    assert store.all() == [record()]


def test_a_study_that_declared_nothing_measures_what_its_records_hold(tmp_path, record):
    store = RecordStore(tmp_path)
    store.add([record(arm="full", factors={"n": 64}), record(arm="full", factors={"n": 64}, metric="ece")])
    store.add([record(arm="scratch", factors={"n": 16})])
    assert read_declarations(store)[CURVE] == declaration(metrics={"auroc": "higher", "ece": "higher"})


def test_a_declared_study_is_not_widened_by_its_records(tmp_path, record):
    RecordStore(tmp_path).add([record(arm="stray")])
    declare(tmp_path, declaration())
    assert read_declarations(RecordStore(tmp_path))[CURVE].arms == ("full", "scratch")


def test_a_check_declares_its_metric(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_OUT", str(tmp_path))
    record_check("01_cnn_basics", "conv_max_abs_error", 0.0)
    record_check("01_cnn_basics", "pool_max_abs_error", 0.0)
    declared = RecordStore(tmp_path).declarations()
    assert len(declared) == 2
    found = read_declarations(RecordStore(tmp_path))["01_cnn_basics", "checks"]
    assert (found.arms, set(found.metrics)) == (("identity",), {"conv_max_abs_error", "pool_max_abs_error"})


def test_a_kept_run_carries_the_declarations(tmp_path, record, claim, rule, registered):
    RecordStore(tmp_path / "run").add([record(factors={"n": 64})])
    declare(tmp_path / "run", declaration())
    kept = read_kept(keep_run(tmp_path / "run", tmp_path / "kept", register=registered(claim(rule()))))
    assert kept.declarations() == [declaration()]
    assert kept.all() == [record(factors={"n": 64})]


def test_a_kept_run_of_the_old_layout_is_read_and_declares_what_it_holds(tmp_path):
    folder = tmp_path / "kept" / "records" / CURVE[0]
    folder.mkdir(parents=True)
    (tmp_path / "kept" / "runs.json").write_text("[]")
    header = {"notebook": CURVE[0], "study": CURVE[1], "directions": {"auroc": "higher"}}
    trial = {
        "source_domain": "", "target_domain": "", "arm": "full", "factors": {"n": 64}, "seed": 0, "n_test": 9,
        "seconds": 1, "device": "cpu", "metrics": {"auroc": 0.5},
    }  # fmt: skip
    rows = [trial | {"dataset": name, "key": name} for name in ("phantoms_toy", "breastmnist")]
    (folder / f"{CURVE[1]}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))
    kept = read_kept(tmp_path / "kept")
    assert {r.dataset: r.synthetic for r in kept.all()} == {"phantoms_toy": True, "breastmnist": False}
    assert all(r.configuration == {} for r in kept.all())
    assert kept.declarations() == []
    assert read_declarations(kept)[CURVE] == declaration(arms=("full",), factors={"n": (64,)})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"metrics": {"auroc": "up"}}, "'up', expected higher or lower"),
        ({"factors": {"n": ([64],)}}, "factor 'n' has the level"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_refused(fields, named):
    with pytest.raises(MedtlError, match=named):
        declaration(**fields)


def test_directions_that_contradict_are_one_line(tmp_path):
    declare(tmp_path, declaration())
    declare(tmp_path, declaration(metrics={"auroc": "lower"}))
    with pytest.raises(MedtlError, match=r"learning_curve: metric 'auroc' is declared"):
        read_declarations(RecordStore(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"arms": 3}', "\x00"])
def test_a_malformed_declaration_is_one_line_that_names_the_file(tmp_path, text):
    path = declare(tmp_path, declaration())
    path.write_text(text)
    with pytest.raises(MedtlError) as error:
        read_declarations(RecordStore(tmp_path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_check_that_a_run_leaves_out_is_declared_without_a_record(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_OUT", str(tmp_path))
    declare_check("07_interpretability", "share_found")
    store = RecordStore(tmp_path)
    found = read_declarations(store)[("07_interpretability", "checks")]
    assert (found.arms, found.metrics) == (("identity",), {"share_found": "lower"})
    assert store.frame().empty
