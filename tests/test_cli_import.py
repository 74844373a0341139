"""`medtl data import`: what a user types, what is printed, and one line for what cannot be."""

import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.examples import get_path

from medtl_core.cli import app as cli
from medtl_core.data.archives.archive import read_archive


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
def place(tmp_path, monkeypatch):
    """An empty current folder, whose `archives` is MEDTL_DATA."""
    (tmp_path / "archives").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDTL_DATA", str(tmp_path / "archives"))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def save_chest(n=24):
    """Two classes of different sizes, depths and kinds, two images a patient, the patient in the name."""
    rng = np.random.default_rng(0)
    for k, (name, suffix) in enumerate((("normal", "png"), ("pneumonia", "jpeg"))):
        folder = Path("chest") / name
        folder.mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 128, (30 + i, 40), np.uint8) + np.uint8(k * 100)
            Image.fromarray(pixels).save(folder / f"person{k}{i // 2}_{i}.{suffix}")
    deep = rng.integers(0, 4000, (40, 40)).astype(np.uint16)
    Image.fromarray(deep).save("chest/normal/person99_0.png")


def test_a_folder_becomes_a_data_set_that_can_be_measured(medtl):
    save_chest()
    out = "archives/chest.npz"
    chest = ("data", "import", "folders", "chest", "--patient", r"(person\d+)", "--out", out, "--size", 32)
    status, printed, err = medtl(*chest)
    assert (status, printed) == (2, "")
    assert err.startswith("medtl: normal/person99_0.png: found 16-bit values from")
    assert err.count("\n") == 1
    status, printed, err = medtl(*chest, "--window", "0:4095")
    assert (status, err) == (0, "")
    assert "patients: (person\\d+) in the path, found for 49 of 49 files" in printed
    assert "normal: 25 images\npneumonia: 24 images\n" in printed
    assert printed.splitlines()[-1] == f"{out}: look for leaks with: medtl data audit chest"
    assert "1 of 49 images: window 0:4095" in printed
    assert medtl("data", "verify", "chest")[0] == 0
    assert (
        "made       size: 32 px, whole images on black"
        in medtl("data", "show", "chest", "--sheet", "s.png")[1]
    )
    assert medtl("data", "audit", "chest")[0] == 0
    assert "exists already" in medtl(*chest)[2]


def test_keep_going_lists_what_was_left_out(medtl):
    save_chest()
    status, printed, err = medtl(
        "data", "import", "folders", "chest", "--out", "archives/c.npz", "--keep-going"
    )
    assert status == 0
    assert err.startswith("medtl: left out: normal/person99_0.png: found 16-bit values")
    assert "left out: 1 files with problems" in printed


def save_trouble():
    """A chest with one of each file that cannot be imported; what the line about each begins with."""
    save_chest(6)
    Path("chest/normal/person99_0.png").unlink()
    normal, pneumonia = Path("chest/normal"), Path("chest/pneumonia")
    whole = (pneumonia / "person10_0.jpeg").read_bytes()
    (pneumonia / "a_cut.jpeg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((9, 9), 3000, np.uint16)).save(normal / "b_deep.png")
    Image.new("CMYK", (9, 9)).save(normal / "c_cmyk.jpg")
    (normal / "d_text.png").write_text("no image")
    for name in ("e_twin.png", "E_TWIN.png", "f_\u00e9.png", "f_e\u0301.png"):
        Image.new("L", (9, 9)).save(normal / name)
    (normal / "g_link.png").symlink_to("/etc/hostname")
    Image.new("L", (9, 9)).save("chest/h_loose.png")
    return {
        "pneumonia/a_cut.jpeg": "cannot read",
        "normal/b_deep.png": "16-bit values",
        "normal/c_cmyk.jpg": "CMYK without a colour profile",
        "normal/d_text.png": "cannot read",
        "'normal/E_TWIN.png' and 'normal/e_twin.png'": "names that differ only in case",
        "'normal/f_": "names that differ only in case",
        "'normal/g_link.png'": "a link that leads out of the folder",
        "h_loose.png": "no class folder around it",
    }


def test_all_that_is_wrong_is_one_line_each_and_a_list_at_the_end(medtl, place):
    expected = save_trouble()
    chest = ("data", "import", "folders", "chest", "--out", "archives/c.npz", "--size", 9)
    status, printed, err = medtl(*chest)
    assert (status, printed, err.count("\n")) == (2, "", 1)
    assert list((place / "archives").iterdir()) == []
    status, printed, err = medtl(*chest, "--keep-going")
    assert status == 0
    lines = err.splitlines()
    assert len(lines) == len(expected)
    for name, found in expected.items():
        (line,) = (line for line in lines if line.startswith(f"medtl: left out: {name}"))
        assert found in line
    assert f"left out: {len(expected)} files with problems" in printed
    # Of two names that are one, the first is kept.
    assert len(read_archive("archives/c.npz").images) == 14
    assert [path.name for path in (place / "archives").iterdir()] == ["c.npz"]


def test_a_table_with_all_that_is_wrong_is_one_line_each(medtl):
    save_chest(4)
    rows = [
        f"{path.relative_to('chest')};{path.parent.name};00{i}"
        for i, path in enumerate(sorted(Path("chest").glob("*/person[01]*")))
    ]
    wrong = {
        "../secret.png;normal;1": "stays within the folder",
        f"{rows[0].split(';')[0]};normal;1": "expected one row an image",
        "normal/absent.png;normal;1": "no such file",
        f"{rows[7].split(';')[0]};;1": "found no label",
        "a;b": "found 2 cells, expected 3",
    }
    text = "\n".join(["image;label;patient", *rows[:7], *wrong]) + "\n"
    Path("chest/t.csv").write_bytes(text.encode("utf-16"))
    table = ("data", "import", "csv", "chest/t.csv", "--out", "t.npz", "--size", 9)
    status, printed, err = medtl(*table)
    assert (status, printed, err.count("\n")) == (2, "", 1)
    assert not Path("t.npz").exists()
    status, printed, err = medtl(*table, "--keep-going")
    assert status == 0
    assert "delimiter semicolon, utf-16" in printed
    # Rows of another length are met as the table is read, before the others.
    for found, line in zip([*wrong.values()][-1:] + [*wrong.values()][:-1], err.splitlines(), strict=True):
        assert line.startswith("medtl: left out: t.csv, line ")
        assert found in line
    assert read_archive("t.npz").groups.tolist() == [f"00{i}" for i in range(7)]


def test_a_table(medtl):
    save_chest(4)
    rows = [f"{p.stem};{p.parent.name};{p.stem[:8]}" for p in sorted(Path("chest").glob("*/*_?.*"))]
    Path("chest/t.csv").write_text("\n".join(["file;finding;who", *rows[:3], *rows[5:]]), "utf-8-sig")
    table = ("data", "import", "csv", "chest/t.csv", "--out", "t.npz", "--size", 16, "--window", "0:4095")
    assert "found no column for the label" in medtl(*table)[2]
    status, printed, _ = medtl(*table, "--label", "finding", "--patient", "who", "--keep", "who")
    assert status == 0
    assert "image: column 'file', guessed from its name" in printed
    assert "label: column 'finding', as asked for" in printed
    assert read_archive("t.npz").metadata["who"].tolist() == read_archive("t.npz").groups.tolist()


def test_dicom(medtl):
    for name in ("a", "b"):
        Path("ct", name).mkdir(parents=True)
        Path("ct", name, "1").write_bytes(get_path("ct").read_bytes())
    assert "no window in the file" in medtl("data", "import", "dicom", "ct", "--out", "ct.npz")[2]
    window = ("--window", "-160:240")
    status, printed, err = medtl("data", "import", "dicom", "ct", "--out", "ct.npz", *window, "--size", 16)
    assert (status, err) == (0, "")
    assert "2 of 2 images: window -160:240" in printed
    assert read_archive("ct.npz").groups.tolist() == ["patient_1", "patient_1"]


def test_dicom_with_all_that_is_wrong_is_one_line_each(medtl):
    for name in ("a", "b"):
        Path("ct", name).mkdir(parents=True)
        Path("ct", name, "1.dcm").write_bytes(get_path("ct").read_bytes())
    whole = Path("ct/a/1.dcm").read_bytes()
    Path("ct/a/2_cut.dcm").write_bytes(whole[:-5000])
    Path("ct/a/3_text.dcm").write_text("no DICOM")
    header = dcmread("ct/a/1.dcm")
    del header.PixelData
    header.save_as("ct/b/4_empty.dcm")
    wrong = {
        "a/2_cut.dcm": "cannot read",
        "a/3_text.dcm": "cannot read",
        "b/4_empty.dcm": "found a DICOM file without pixels",
    }
    ct = ("data", "import", "dicom", "ct", "--out", "ct.npz", "--window", "-160:240", "--size", 16)
    status, printed, err = medtl(*ct)
    assert (status, printed, err.count("\n")) == (2, "", 1)
    assert not Path("ct.npz").exists()
    status, printed, err = medtl(*ct, "--keep-going")
    assert (status, len(err.splitlines())) == (0, len(wrong))
    for line, (name, found) in zip(err.splitlines(), wrong.items(), strict=True):
        assert line.startswith(f"medtl: left out: {name}")
        assert found in line
    assert read_archive("ct.npz").n == 2


STUCK = """
import time
from medtl_core.cli.app import main
from medtl_core.data.importers import decode, reading

def slow(case, frame):
    if case.name == "pneumonia/person11_2.jpeg":
        print("in the middle", flush=True)
        time.sleep(1)
    return decode.decode(case, frame)

reading.IMAGES = reading.Reader("slow", slow)
main()
"""


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_in_the_middle_leaves_nothing_and_no_traceback(place):
    save_chest(6)
    Path("chest/normal/person99_0.png").unlink()
    command = [sys.executable, "-c", STUCK, "data", "import", "folders", "chest", "--out", "archives/c.npz"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell starts what it runs in the background with Ctrl-C ignored; the tests may run there.
    with subprocess.Popen(command, preexec_fn=heed_ctrl_c, **pipes) as process:
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (cli.INTERRUPTED, "")
    assert list((place / "archives").iterdir()) == []


def test_nifti(medtl):
    values = np.random.default_rng(0).integers(0, 900, (6, 7, 8), np.int16)
    for name in ("a", "b"):
        Path("mri", name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), f"mri/{name}/v.nii.gz")
    mri = ("data", "import", "nifti", "mri", "--out", "mri.npz", "--size", 16, "--window", "1%:99%")
    status, _, err = medtl(*mri, "--plane", "coronal")
    assert (status, err) == (0, "")
    assert read_archive("mri.npz").images.shape == (14, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["folders", "absent", "--out", "a.npz"], "absent: no such folder"),
        (["folders", "absent"], "--out"),
        (["folders", "chest", "--out", "a.npz", "--window", "9"], "expected LOW:HIGH"),
        (["csv", "absent.csv", "--out", "a.npz"], "absent.csv: cannot be read"),
        (["folders", "chest", "--out", "phantoms.npz"], "name of a phantom set"),
        (["folders", "chest", "--out", "a.npz", "--size", "0"], "--size"),
        (["folders", "chest", "--out", "a.npz", "--fit", "stretch"], "--fit"),
    ],
)
def test_bad_input_is_one_line(medtl, arguments, found):
    save_chest(2)
    status, printed, err = medtl("data", "import", *arguments)
    assert (status, printed, err.count("\n")) == (2, "", 1)
    assert found in err
