import json
from dataclasses import replace

import pytest

from medtl_core.errors import MedtlError
from medtl_core.evidence.run_state import RunState, write_state
from medtl_core.runner.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.prepare()
    return run


def finish(directory, label, key, *files):
    staged = directory.clear_staging(label)
    for file in files:
        (staged / file).parent.mkdir(parents=True, exist_ok=True)
        (staged / file).write_text(f"{label} {key}")
    directory.executed(label).write_text("{}")
    published = directory.publish(label)
    write_state(directory.root, RunState(label, label, "done", key, published))
    return published


def records(directory):
    return sorted(
        p.relative_to(directory.root).as_posix() for p in (directory.root / "records").rglob("*.jsonl")
    )


def test_a_finished_run_is_known_by_its_key(directory):
    finish(directory, "a", "k1", "records/n/s/1.jsonl", "predictions/1.npz")
    assert directory.finished("a", "k1").files == ["predictions/1.npz", "records/n/s/1.jsonl"]
    assert directory.finished("a", "k2") is None
    assert directory.finished("b", "k1") is None


@pytest.mark.parametrize("lost", ["notebooks/a.ipynb", "records/n/s/1.jsonl"])
def test_a_run_whose_files_were_deleted_is_not_finished(directory, lost):
    finish(directory, "a", "k1", "records/n/s/1.jsonl")
    (directory.root / lost).unlink()
    assert directory.finished("a", "k1") is None


def test_a_failed_run_is_not_finished(directory):
    finish(directory, "a", "k1")
    write_state(directory.root, replace(directory.state("a"), status="failed"))
    assert directory.finished("a", "k1") is None


def test_a_second_run_replaces_the_records_of_the_first(directory):
    finish(directory, "a", "k1", "records/n/s/1.jsonl", "records/n/s/2.jsonl")
    finish(directory, "a", "k2", "records/n/s/2.jsonl", "records/n/s/3.jsonl")
    assert records(directory) == ["records/n/s/2.jsonl", "records/n/s/3.jsonl"]
    assert (directory.root / "records/n/s/2.jsonl").read_text() == "a k2"


def test_records_that_another_run_shares_stay(directory):
    finish(directory, "a", "k1", "records/n/s/1.jsonl", "records/n/s/shared.jsonl")
    finish(directory, "b", "k1", "records/n/s/shared.jsonl")
    finish(directory, "a", "k2", "records/n/s/3.jsonl")
    assert records(directory) == ["records/n/s/3.jsonl", "records/n/s/shared.jsonl"]


def test_half_written_files_and_old_staging_are_not_published(directory):
    staged = directory.clear_staging("a")
    (staged / "records" / "n").mkdir(parents=True)
    (staged / "records" / "n" / "old.jsonl").touch()
    staged = directory.clear_staging("a")
    (staged / "records" / "n").mkdir(parents=True)
    (staged / "records" / "n" / ".part-x").touch()
    assert directory.publish("a") == []


def test_only_one_run_at_a_time(directory):
    with directory.locked(), pytest.raises(MedtlError, match="another medtl run"), directory.locked():
        pass
    with directory.locked():
        pass


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MedtlError, match="cannot be written") as caught:
        RunDirectory(tmp_path / "file" / "run").prepare()
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 49 * 2**20})
    monkeypatch.setattr("medtl_core.runner.run_directory.shutil.disk_usage", lambda path: usage)
    with pytest.raises(MedtlError, match="49 MiB free, a run needs 50"):
        RunDirectory(tmp_path / "runs" / "x").prepare()
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_cannot_be_read_is_refused(directory):
    state = RunState("a", "01_a", "done", "k", ["records/x"], seconds=2.5, error={"name": "ValueError"})
    write_state(directory.root, state)
    assert directory.state("a") == state
    content = json.loads((directory.root / "state" / "a.json").read_text())
    for damage in ("", "[]", {"status": "done"}, content | {"files": 3}, content | {"label": "b"}):
        text = damage if isinstance(damage, str) else json.dumps(damage)
        (directory.root / "state" / "a.json").write_text(text)
        with pytest.raises(MedtlError, match=r"a\.json: .*expected the state of a run; delete it") as refusal:
            directory.state("a")
        assert "\n" not in str(refusal.value)
