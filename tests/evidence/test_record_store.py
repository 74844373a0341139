import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.record_store import RecordStore, record_check


def test_what_was_added_comes_back_equal(tmp_path, record):
    store = RecordStore(tmp_path)
    trial = [
        record(metric=m, value=v, factors={"n": 64, "mark": "none"})
        for m, v in (("auroc", 0.1 + 0.2), ("ece", 0))
    ]
    store.add(trial)
    assert store.all() == sorted(trial, key=lambda r: r.metric)
    assert store.trial(trial[0].key) == trial
    assert store.has(trial[0].key)
    assert not store.has("another")
    assert store.all("01_cnn_basics") == []


def test_numpy_numbers_become_plain_ones(record):
    made = record(value=np.float32(0.5), seed=np.int64(3), factors={"n": np.int64(64), "cut": np.bool_(True)})
    assert type(made.value) is float
    assert type(made.seed) is int
    assert made.factors == {"n": 64, "cut": True}
    assert type(made.factors["n"]) is int


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", float("nan")),
        ("value", "0.9"),
        ("seed", -1),
        ("seed", True),
        ("direction", "up"),
        ("arm", ""),
        ("study", "a/b"),
        ("key", "../x"),
        ("factors", {"seed": 1}),
        ("factors", {"n": None}),
        ("n_test", 1.5),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_in_one_line(record, field, value):
    with pytest.raises(MedtlError) as error:
        record(**{field: value})
    assert "\n" not in str(error.value)


def test_a_trial_is_one_file_and_leaves_nothing_else(tmp_path, record):
    path = RecordStore(tmp_path).add([record()])
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert path == tmp_path / "records" / "02_fine_tuning" / "learning_curve" / f"{record().key}.jsonl"


def test_several_trials_at_once_or_a_metric_twice_are_refused(tmp_path, record):
    for records in ([], [record(seed=0), record(seed=1)], [record(value=0.1), record(value=0.2)]):
        with pytest.raises(MedtlError, match="expected one trial"):
            RecordStore(tmp_path).add(records)
    assert not (tmp_path / "records").exists()


def test_of_two_versions_of_a_number_the_newest_counts(tmp_path, record):
    store = RecordStore(tmp_path)
    store.add([record(value=0.1, key="old")])
    store.add([record(value=0.2, key="new")])
    assert [r.value for r in store.all()] == [0.2]
    store.add([record(value=0.1, key="old")])
    assert [r.value for r in store.all()] == [0.1]


def test_studies_that_share_a_trial_keep_their_own_records(tmp_path, record):
    store = RecordStore(tmp_path)
    for study in ("a", "b"):
        store.add([record(study=study, key="same")])
    assert [r.study for r in store.all()] == ["a", "b"]


def _file_with(tmp_path: Path, record, change) -> Path:
    path = RecordStore(tmp_path).add([record(metric="auroc"), record(metric="ece")])
    lines = path.read_text().splitlines()
    lines[1] = change(json.loads(lines[1]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda row: "{",
        lambda row: "[]",
        lambda row: json.dumps(row | {"value": "high"}),
        lambda row: json.dumps(row | {"more": 1}),
        lambda row: json.dumps({k: v for k, v in row.items() if k != "seed"}),
        lambda row: json.dumps(row | {"value": float("nan")}),
        lambda row: json.dumps(row | {"written": "today"}),
    ],
)
def test_reading_names_file_and_line_of_anything_malformed(tmp_path, record, change):
    path = _file_with(tmp_path, record, change)
    with pytest.raises(MedtlError) as error:
        RecordStore(tmp_path).all()
    assert f"{path}, line 2" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_file_is_malformed(tmp_path, record):
    path = RecordStore(tmp_path).add([record()])
    path.write_text("")
    with pytest.raises(MedtlError, match="empty"):
        RecordStore(tmp_path).all()


def test_frame_has_a_column_per_factor(tmp_path, record):
    store = RecordStore(tmp_path)
    store.add([record(factors={"n": 64})])
    store.add([record(study="other")])
    assert store.frame(study="learning_curve")["n"].tolist() == [64]
    assert "n" not in store.frame(study="other")
    assert "factors" not in store.frame()


def test_predictions_come_back_and_bad_ones_are_refused(tmp_path, record):
    store = RecordStore(tmp_path)
    kept = {
        "cases": np.array(["a", "b"]),
        "labels": np.array([0, 1]),
        "scores": np.array([[0.9, 0.1], [0.2, 0.8]]),
    }
    store.add([record()], kept)
    back = store.predictions(record().key)
    assert all(np.array_equal(back[name], kept[name]) for name in kept)
    assert store.predictions("none") is None
    with pytest.raises(MedtlError, match="shapes"):
        store.add([record(seed=1)], kept | {"labels": np.array([0])})
    assert not store.has(record(seed=1).key)
    (tmp_path / "predictions" / f"{record().key}.npz").write_bytes(b"PK broken")
    with pytest.raises(MedtlError, match="expected the predictions of a trial"):
        store.predictions(record().key)


def _write_forever(folder: Path, records: list) -> None:
    store = RecordStore(folder)
    while True:
        for r in records:
            store.add([r])


def test_a_killed_writer_leaves_whole_records_only(tmp_path, record):
    records = [record(seed=s) for s in range(20)]
    process = multiprocessing.get_context("fork").Process(target=_write_forever, args=(tmp_path, records))
    process.start()
    deadline = time.monotonic() + 10
    while not list(tmp_path.rglob("*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    found = RecordStore(tmp_path).all()
    assert found
    assert set(map(repr, found)) <= set(map(repr, records))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, record):
    (tmp_path / "records").write_text("in the way")
    with pytest.raises(MedtlError, match="cannot be written"):
        RecordStore(tmp_path).add([record()])


def test_record_check_keeps_the_latest_value(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_OUT", str(tmp_path))
    assert record_check("01_cnn_basics", "conv_max_abs_error", np.float32(0.5)) == 0.5
    record_check("01_cnn_basics", "conv_max_abs_error", 1e-7)
    record_check("01_cnn_basics", "parameters", 12)
    found = {r.metric: r for r in RecordStore(tmp_path).all("01_cnn_basics")}
    assert {name: r.value for name, r in found.items()} == {"conv_max_abs_error": 1e-7, "parameters": 12.0}
    assert found["parameters"].arm == "identity"
    assert found["parameters"].seed == 0


def test_a_record_cannot_be_changed(record):
    made = record()
    assert replace(made, seed=4).seed == 4
    with pytest.raises(AttributeError):
        made.value = 1.0


def test_configurations_are_kept_apart(tmp_path, record):
    store = RecordStore(tmp_path)
    settings = [{"backbone": name, "sizes": [16, 64]} for name in ("resnet18", "vgg16")]
    for settled in settings:
        store.add([record(configuration=settled)])
    store.add([record(value=0.5, configuration=dict(reversed(settings[0].items())))])
    assert [(r.configuration["backbone"], r.value) for r in store.all()] == [
        ("resnet18", 0.5),
        ("vgg16", 0.9),
    ]
    assert len({r.configuration_digest for r in store.all()}) == 2
    assert len(record().configuration_digest) == 0
    assert store.frame()["configuration"].tolist() == [json.dumps(s) for s in settings]


@pytest.mark.parametrize("settled", [{"x": {}}, {"x": float("nan")}, {"": 1}, ["x"], {"x": [object()]}])
def test_a_configuration_is_plain_values_by_name(record, settled):
    with pytest.raises(MedtlError, match="configuration"):
        record(configuration=settled)


def test_synthetic_is_yes_or_no(record):
    with pytest.raises(MedtlError, match="synthetic is 'no', expected True or False"):
        record(synthetic="no")


def test_a_file_of_the_old_layout_is_read_by_its_convention(tmp_path, record):
    store = RecordStore(tmp_path)
    for name in ("phantoms_toy", "breastmnist"):
        path = store.add([record(dataset=name, key=name)])
        row = json.loads(path.read_text())
        path.write_text(
            json.dumps({k: row[k] for k in row if k not in ("synthetic", "configuration")}) + "\n"
        )
    assert {r.dataset: r.synthetic for r in store.all()} == {"phantoms_toy": True, "breastmnist": False}
    half = json.loads(path.read_text()) | {"synthetic": False}
    path.write_text(json.dumps(half) + "\n")
    with pytest.raises(MedtlError, match="instead of arm, configuration"):
        store.all()
