import errno
import hashlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from medtl_core import __version__
from medtl_core.cli import app as cli
from medtl_core.data.archives.archive import Archive, write_archive
from medtl_core.evidence.record import Record
from medtl_core.evidence.record_store import RecordStore

CLAIMS = """\
head:
  title: "A small survey"
  ids: [{pattern: 'C\\d{3}', name: statements}]
  sections: {"1": {name: all}}
  populations:
    medical_images: {name: "medical images"}
    method: {name: "a method", synthetic_is_evidence: true}
entries:
- {id: C001, section: "1", statement: "A", kind: method, handling: test, notebook: 01_a, population: method,
   rules: [{reading: main, hypothesis: "B", kind: deterministic, study: checks, metric: deviation,
            tolerance: {op: "<=", value: 0.5}}]}
- {id: C002, section: "1", statement: "C", kind: empirical, handling: test}
"""


@pytest.fixture
def medtl(monkeypatch, capsys):
    """Calls the command in this process: exit status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["medtl", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty project with a register; MEDTL_DATA holds `mine`."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "claims.yaml").write_text(CLAIMS)
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 16, 16), np.uint8)
    images[1] = images[0]
    archive = Archive("mine", images, np.arange(40) % 2, ("left", "right"), None, None, None, (), None, {})
    write_archive(archive, tmp_path / "data" / "mine.npz")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    return folder


def record(folder, study="checks"):
    """A run's folder with one record."""
    measured = Record(
        "01_a",
        study,
        "phantoms",
        "",
        "",
        "identity",
        {},
        0,
        "deviation",
        0.25,
        "lower",
        0,
        1.0,
        "cpu",
        "k",
        True,
    )
    RecordStore(folder).add([measured])
    (folder / "state").mkdir()
    state = {"label": "01_a", "notebook": "01_a", "status": "done", "key": "k", "files": []}
    (folder / "state" / "01_a.json").write_text(json.dumps(state))
    return folder


def one_line(answer):
    """stderr of a command that refused its input in one line."""
    status, out, err = answer
    assert (status, out, err.count("\n")) == (2, "", 1), answer
    assert err.startswith("medtl: ")
    return err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["data", "--help"], ["--version"], []])
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['medtl', *{arguments!r}]\n"
        "from medtl_core.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as left:\n    assert left.code == 0, left.code\n"
        "heavy = {'torch', 'pandas', 'papermill', 'numpy', 'scipy', 'distributed', 'timm', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert "medtl" in found.stdout


@pytest.mark.parametrize("module", ["medtl_core", "medtl_core.cli"])
def test_the_package_is_the_command(module):
    command = [sys.executable, "-m", module, "absent"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("medtl: No such command 'absent'")


def test_version(medtl):
    assert medtl("--version") == (0, f"medtl {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["runn"], "runn"),
        (["run", "--profil", "smoke"], "--profil"),
        (["run", "--workers", "two"], "--workers"),
        (["data", "show"], "'name'"),
        (["keep", "x"], "'target'"),
        (["data", "show", "absent"], "data set 'absent'"),
        (["data", "fetch", "phantoms"], "nothing to fetch"),
        (["data", "verify", "absent"], "data set 'absent'"),
        (["ledger"], "no run there"),
        (["ledger", "absent"], "unknown run 'absent'"),
        (["report", "absent"], "unknown run 'absent'"),
        (["keep", "absent", "results/x"], "unknown run 'absent'"),
        (["ledger", "notebooks"], "notebooks"),
    ],
)
def test_bad_input_is_one_line(medtl, arguments, found):
    assert found in one_line(medtl(*arguments))


def test_control_characters_do_not_reach_the_terminal(medtl, tmp_path):
    evil = "evil\x1b]0;PWNED\x07"
    (tmp_path / "data" / f"{evil}.npz").write_bytes(b"cut")
    for arguments in (["data", "show", evil], ["data", "list"], ["data", "verify", evil], ["ledger", evil]):
        _, out, err = medtl(*arguments)
        assert "\x1b]" not in out + err
        assert r"\x1b]" in out + err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_no_space_and_no_right_are_one_line(medtl, monkeypatch, number):
    def fail(name):
        raise OSError(number, os.strerror(number), "sheet.png")

    monkeypatch.setattr("medtl_core.data.sources.registry.load", fail)
    assert one_line(medtl("data", "show", "mine")).startswith("medtl: sheet.png: cannot be written (")


def test_other_errors_of_the_system_are_not_hidden(monkeypatch):
    def fail(name):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("medtl_core.data.sources.registry.load", fail)
    monkeypatch.setattr(sys, "argv", ["medtl", "data", "show", "mine"])
    with pytest.raises(OSError, match="Input/output"):
        cli.main()


def test_data_list(medtl, tmp_path):
    (tmp_path / "data" / "broken.npz").write_bytes(b"cut")
    status, out, _ = medtl("data", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert (rows["phantoms"]["from"], rows["mine"]["from"], rows["pathmnist"]["from"]) == (
        "phantoms",
        "MEDTL_DATA",
        "publisher",
    )
    assert (rows["mine"]["images"], rows["mine"]["pixels"], rows["mine"]["classes"]) == (40, "16 grey", 2)
    assert rows["broken"]["licence"].startswith("unusable: ")
    long = "a_name_that_is_longer_than_most_and_ends_like_others_2024"
    (tmp_path / "data" / "mine.npz").rename(tmp_path / "data" / f"{long}.npz")
    assert long in medtl("data", "list")[1]


def test_data_show_writes_a_contact_sheet(medtl, project, tmp_path):
    status, out, _ = medtl("data", "show", "mine")
    sheet = project / "runs" / "sheets" / "mine.png"
    assert status == 0
    assert out.splitlines()[-1] == str(sheet)
    assert sheet.read_bytes().startswith(b"\x89PNG")
    answer = json.loads(medtl("data", "show", "mine", "--json", "--sheet", tmp_path / "s.png")[1])
    assert (answer["images"], answer["sheet"]) == (40, str(tmp_path / "s.png"))
    assert (tmp_path / "s.png").is_file()
    assert medtl("data", "show", "mine", "--sheet", tmp_path / "s.png")[0] == 0
    register = project / "notebooks" / "claims.yaml"
    assert "not a PNG image" in one_line(medtl("data", "show", "mine", "--sheet", register))
    assert register.read_text() == CLAIMS


def test_data_verify(medtl, tmp_path, monkeypatch):
    status, out, _ = medtl("data", "verify", "mine")
    assert (status, out.startswith("mine: 40 images")) == (0, True)
    for name in ("broken", "torn"):
        (tmp_path / "data" / f"{name}.npz").write_bytes(b"cut")
    # without the phantoms, which take their time to draw
    monkeypatch.setattr("medtl_core.data.sources.registry.local_names", lambda: ["broken", "mine", "torn"])
    status, out, err = medtl("data", "verify")
    assert status == 2
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("mine")] == ["mine"]
    assert [name for name in ("broken", "torn") for line in err.splitlines() if name in line] == [
        "broken",
        "torn",
    ]
    rows = json.loads(medtl("data", "verify", "--json")[1])
    assert {row["name"]: row["ok"] for row in rows}["torn"] is False


def test_data_audit(medtl):
    status, out, _ = medtl("data", "audit", "mine")
    assert status == 0
    assert "2 of 40 images are pixel-identical" in out
    assert out.startswith("verdict: not auditable")  # there are no groups
    values = json.loads(medtl("data", "audit", "mine", "--json")[1])
    assert "identical_images" in [finding["kind"] for finding in values["findings"]]


@pytest.mark.slow
def test_data_audit_writes_cards_and_a_sheet(medtl, tmp_path):
    folder = tmp_path / "cards"
    status, out, _ = medtl("data", "audit", "mine", "--out", folder)
    assert status == 0
    names = ["mine.croissant.json", "mine.json", "mine.md", "mine.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all(str(folder / name) in out.replace("\n", "") for name in names)
    metadata = json.loads((folder / "mine.croissant.json").read_text())
    assert metadata["distribution"][0]["name"] == "mine.npz"
    assert (
        metadata["distribution"][0]["sha256"]
        == hashlib.sha256((tmp_path / "data" / "mine.npz").read_bytes()).hexdigest()
    )


@pytest.mark.slow
def test_volumes_are_audited_and_shown(medtl, tmp_path):
    volumes = np.random.default_rng(0).integers(0, 256, (8, 4, 20, 20), np.uint8)
    volumes[5] = volumes[1]
    np.savez(tmp_path / "data" / "brains.npz", volumes=volumes)
    status, out, _ = medtl("data", "audit", "brains", "--out", tmp_path / "cards")
    assert (status, "2 of 8 images are pixel-identical" in out) == (0, True)
    assert "None: there are no labels." in (tmp_path / "cards" / "brains.md").read_text()
    status, out, _ = medtl("data", "show", "brains", "--sheet", tmp_path / "sheet.png")
    assert (status, "8 grey volumes, 4 x 20 x 20 voxels" in out) == (0, True)


def test_data_leaks(medtl, tmp_path):
    pytest.importorskip("pydicom")
    status, _, error = medtl("data", "leaks", tmp_path / "nowhere")
    assert (status, "no such folder" in error) == (2, True)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.dcm").write_bytes(b"no DICOM")
    assert "found no DICOM file" in medtl("data", "leaks", tmp_path / "scans")[2]


def test_the_ledger_of_the_latest_run(medtl, project):
    record(project / "runs" / "one")
    for arguments in (["ledger"], ["ledger", "one"], ["ledger", "runs/one"]):
        status, out, _ = medtl(*arguments, "--json")
        assert status == 0
        assert [(row["id"], row["verdict"]) for row in json.loads(out)] == [
            ("C001", "demonstrated"),
            ("C002", "pending"),
        ]
    out = medtl("ledger")[1]
    assert "C001" in out
    assert "1 demonstrated, 1 pending" in out


def test_a_report_is_written_again(medtl, project):
    record(project / "runs" / "one")
    status, out, _ = medtl("report", "one")
    assert (status, out) == (0, f"{project / 'runs' / 'one' / 'report.html'}\n")
    assert (project / "runs" / "one" / "ledger.json").is_file()


def test_keeping_a_run(medtl, project):
    record(project / "runs" / "one")
    assert medtl("keep", "one", "results/one")[:2] == (0, "results/one\n")
    assert "demonstrated" in medtl("ledger", "results/one")[1]
    assert "exists already" in one_line(medtl("keep", "one", "results/one"))
    assert medtl("keep", "one", "results/one", "--overwrite")[0] == 0
    assert "kept run" in one_line(medtl("report", "results/one"))


def test_check_holds_the_register_against_a_run_or_all_kept_ones(medtl, project):
    folder = record(project / "runs" / "one")
    assert medtl("check", "one") == (0, f"1 rule fits the studies of {folder}\n", "")
    assert "no kept run there" in one_line(medtl("check"))
    assert medtl("keep", "one", project / "results" / "kept")[0] == 0
    assert medtl("check") == (0, f"1 rule fits the studies of {project / 'results' / 'kept'}\n", "")
    short = record(project / "runs" / "short", study="another")
    assert "unknown study 'checks'" in medtl("check", "short")[1]
    assert medtl("check", "short", "one") == (0, f"1 rule fits the studies of {short}, {folder}\n", "")
    register = project / "notebooks" / "claims.yaml"
    register.write_text(register.read_text().replace("metric: deviation", "metric: deviance"))
    status, out, err = medtl("check", "one")
    assert status == 2
    assert out.splitlines()[0].endswith(
        "unknown metric 'deviance' in study 01_a/checks; did you mean 'deviation'?"
    )
    assert err.startswith("medtl: 1 rule asks for what no study declares")
    register.write_text(register.read_text().replace("notebook: 01_a", "notebook: 02_b"))
    assert medtl("check", "one") == (
        0,
        f"not yet declared: 02_b, with rules of C001\n0 rules fit the studies of {folder}\n",
        "",
    )


def test_notebooks(medtl, project):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "metadata": {"tags": ["parameters"]},
            "source": "seeds: int = 3  # seeds; 1 to 5",
        },
    ]
    (project / "notebooks" / "01_a.ipynb").write_text(json.dumps({"cells": cells}))
    assert medtl("notebooks") == (0, "01_a: Title\n    seeds: int = 3  # seeds; 1 to 5\n", "")
    assert json.loads(medtl("notebooks", "--json")[1]) == [
        {
            "name": "01_a",
            "title": "Title",
            "folder": "notebooks",
            "parameters": [
                {"name": "seeds", "type": "int", "default": 3, "range": "1 to 5", "description": "seeds"}
            ],
        }
    ]


def test_bench(medtl, monkeypatch):
    rows = [
        {
            "name": "fit x",
            "ratio": 0.954,
            "target": 0.9,
            "images_per_second": 50.2,
            "threads": 2,
            "device": "cpu",
        }
    ]
    costs = [
        {
            "name": "augmentation y",
            "ratio": 0.11,
            "of": "of a training step",
            "cost": True,
            "target": 0.15,
            "images_per_second": 900.4,
            "threads": 2,
            "device": "cpu",
        }
    ]
    maps = [rows[0] | {"name": "grad_cam x", "ratio": 22.0, "target": 10.0, "of": "times as fast in a batch"}]
    games = [rows[0] | {"name": "train_gan w"}]
    imports = [costs[0] | {"name": "import z", "ratio": 1.4, "target": 1.5, "of": "times bare decoding"}]
    # These stand in for the real ones, which train.
    for room, measured in (
        ("training", rows),
        ("augmentation", costs),
        ("explanation", maps),
        ("gans", games),
        ("data.importers", imports),
    ):
        bench = SimpleNamespace(run=lambda measured=measured: measured)
        monkeypatch.setitem(sys.modules, f"medtl_core.{room}.bench", bench)
    assert medtl("bench") == (
        0,
        "fit x: 0.95 of the bare step rate (target 0.9), 50 images/s, 2 threads, cpu\n"
        "augmentation y: 0.11 of a training step (target at most 0.15), 900 images/s, 2 threads, cpu\n"
        "grad_cam x: 22.00 times as fast in a batch (target 10.0), 50 images/s, 2 threads, cpu\n"
        "train_gan w: 0.95 of the bare step rate (target 0.9), 50 images/s, 2 threads, cpu\n"
        "import z: 1.40 times bare decoding (target at most 1.5), 900 images/s, 2 threads, cpu\n",
        "",
    )
    assert json.loads(medtl("bench", "--json")[1]) == rows + costs + maps + games + imports


@pytest.mark.slow
def test_a_closed_pipe_is_no_error_message():
    code = "import sys; sys.argv = ['medtl', 'data', 'list']\nfrom medtl_core.cli.app import main\nmain()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_settings_lists_each_variable_with_its_value_and_origin(tmp_path, monkeypatch, capsys):
    for name in ("MEDTL_DATA", "MEDTL_WEIGHTS", "MEDTL_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path))
    monkeypatch.setenv("MEDTL_DAAT", "x")
    monkeypatch.setattr(sys, "argv", ["medtl", "settings"])
    with pytest.raises(SystemExit):
        cli.main()
    out, err = capsys.readouterr()
    assert f"MEDTL_CACHE = {tmp_path}  (environment)" in out
    assert "MEDTL_DATA = not set  (default)" in out
    assert err == "warning: MEDTL_DAAT is set, but nothing reads it; did you mean MEDTL_DATA?\n"
