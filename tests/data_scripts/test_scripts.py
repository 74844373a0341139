"""Each script on a small made-up source with its publisher's layout."""

import hashlib
import io
import runpy
import sys
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from made_up_sources import SOURCES
from publisher import publishing
from scripts import NAMES, ROOT, script

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.measurable import require_measurable
from medtl_core.data.sources.publication import fetch, packed_path
from medtl_core.errors import MedtlError


def imported(name, tmp_path, **options):
    source = SOURCES[name](tmp_path / "source", **options)
    script(name).import_published(source, tmp_path / "a.npz", 16)
    return read_archive(tmp_path / "a.npz")


def said(archive, words) -> bool:
    return any(words in sentence for sentence in archive.provenance)


def test_every_script_has_a_made_up_source():
    assert sorted(SOURCES) == NAMES


def test_kermany(tmp_path):
    archive = imported("kermany_chest_xray", tmp_path)
    assert archive.class_names == ("NORMAL", "PNEUMONIA")
    assert {word: int((archive.splits == word).sum()) for word in ("train", "val", "test")} == {
        "train": 5, "val": 4, "test": 4,
    }  # fmt: skip
    assert {"IM-0100", "NORMAL2-IM-0100", "person100"} <= set(archive.groups.tolist())


def test_busi(tmp_path):
    archive = imported("busi", tmp_path)
    assert archive.class_names == ("benign", "malignant", "normal")
    assert archive.images.shape == (6, 16, 16, 3)
    areas = archive.masks.reshape(6, -1).sum(1)
    assert areas[0] > areas[1] > 0
    assert not areas[4:].any()


def test_ham10000(tmp_path):
    archive = imported("ham10000", tmp_path)
    assert archive.class_names == ("mel", "nv")
    assert archive.labels.tolist() == [1, 1, 0, 0]
    assert archive.groups.tolist() == ["HAM_0000", "HAM_0000", "HAM_0001", "HAM_0001"]
    assert archive.domains.tolist() == ["vidir"] * 4
    assert archive.metadata["age"].tolist() == ["80.0", "81.0", "82.0", "83.0"]


def test_nih(tmp_path):
    archive = imported("nih_chest_xray14", tmp_path)
    assert archive.class_names == ("Mass", "No Finding")
    assert archive.labels.tolist() == [1, 1, 0, 0]
    assert archive.groups.tolist() == ["1", "1", "2", "2"]
    assert archive.splits.tolist() == ["train", "train", "test", "test"]
    assert archive.metadata["Patient Age"].tolist() == ["008", "018", "028", "038"]
    assert said(archive, "left out: 1 images of several findings")


def test_nih_without_the_list_of_test_images_has_no_split(tmp_path):
    source = SOURCES["nih_chest_xray14"](tmp_path / "source")
    (source / "test_list.txt").unlink()
    script("nih_chest_xray14").import_published(source, tmp_path / "a.npz", 16)
    assert read_archive(tmp_path / "a.npz").splits is None


def test_white_blood_cells(tmp_path):
    archive = imported("white_blood_cells", tmp_path)
    assert archive.class_names == ("lymphocyte", "neutrophil")
    assert archive.labels.tolist() == [0, 1, 0, 1] * 2
    assert archive.domains.tolist() == ["jiangxi"] * 4 + ["cellavision"] * 4
    assert archive.mask_names == ("background", "cytoplasm", "nucleus")
    assert all(set(np.unique(mask)) == {0, 1, 2} for mask in archive.masks)
    assert archive.metadata["file"][0] == "jiangxi/001.bmp"


def test_bccd(tmp_path):
    archive = imported("bccd", tmp_path)
    assert archive.class_names == ("RBC", "WBC")
    assert archive.labels.tolist() == [1, 0] * 6
    assert archive.groups[:3].tolist() == ["BloodImage_00000", "BloodImage_00000", "BloodImage_00001"]
    assert archive.splits[::2].tolist() == ["train", "val", "test"] * 2
    assert said(archive, "left out: 1 boxes without an area")
    assert said(archive, "12 boxes in 6 images")


def test_figshare_brain_tumours(tmp_path):
    archive = imported("figshare_brain_tumours", tmp_path)
    assert archive.class_names == ("glioma", "meningioma", "pituitary")
    assert archive.labels.tolist() == [0, 2, 1, 0, 2, 1]
    assert archive.groups.tolist() == ["000000", "000001", "000001", "000002", "000002", "000003"]
    assert archive.mask_names == ("background", "tumour")
    assert archive.masks.reshape(6, -1).any(1).all()
    # MATLAB stores columns first: 20 rows in HDF5 are 20 columns of the image, and black is at the sides.
    assert not archive.images[0][:, 0].any()
    assert archive.images[0][0].any()


def test_covid_ct_ucsd(tmp_path):
    archive = imported("covid_ct_ucsd", tmp_path)
    assert archive.class_names == ("CT_COVID", "CT_NonCOVID")
    assert archive.groups.tolist() == [
        "2020.02.22.20024927", "2020.02.22.20024927", "PIIS0140673620303603", "40", "40", "673",
    ]  # fmt: skip
    assert archive.splits is None


def test_sars_cov_2_ct(tmp_path):
    archive = imported("sars_cov_2_ct", tmp_path)
    assert archive.class_names == ("COVID", "non-COVID")
    assert archive.groups is None
    assert said(archive, "no patients")


def test_dsb2018_nuclei(tmp_path):
    archive = imported("dsb2018_nuclei", tmp_path)
    assert archive.class_names == ("dense", "sparse")
    assert archive.metadata["nuclei"].tolist() == ["1", "2", "3", "4"]
    assert archive.labels.tolist() == [1, 1, 0, 0]  # median 2.5
    areas = archive.masks.reshape(4, -1).sum(1).astype(int)  # joined, and they overlap
    assert (np.diff(areas) >= 0).all()
    assert areas[3] > areas[0] > 0


def test_msd_hippocampus(tmp_path):
    archive = imported("msd_hippocampus", tmp_path)
    assert archive.class_names == archive.mask_names == ("background", "anterior", "posterior")
    assert archive.groups.tolist() == ["hippocampus_001"] * 18 + ["hippocampus_002"] * 18
    # Coronal slices, from the back: 3 of background, 5 of the posterior part, 6 anterior, 4 background.
    assert archive.labels[:18].tolist() == [0] * 3 + [2] * 5 + [1] * 6 + [0] * 4


def test_rsna_pneumonia(tmp_path):
    archive = imported("rsna_pneumonia", tmp_path)
    assert archive.class_names == ("Lung Opacity", "Normal")
    assert archive.labels.tolist() == [1, 0, 1, 0]
    assert archive.groups.tolist() == [f"patient_{i}" for i in range(1, 5)]
    assert said(archive, "left out: 2 rows that repeat another")
    assert "00cd" not in "".join(map(str, archive.metadata.values()))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_study_can_be_carried_out_on_the_archive(name, tmp_path):
    """What `medtl run` asks before a notebook starts, with the smallest sizes that 02_fine_tuning takes."""
    archive = imported(name, tmp_path, n=24)
    parts = require_measurable(archive, train_sizes=(16,), val_size=10, test_size=20)
    assert len(parts.train) >= len(parts.test) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_script_refuses_in_one_line_and_stands_in_the_table(name, tmp_path, monkeypatch, capfd):
    path = ROOT / "data_scripts" / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), str(tmp_path / "absent"), str(tmp_path / "a.npz")])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(path), run_name="__main__")
    out, err = capfd.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("medtl: ")
    publication = script(name).publication
    assert publication.page in err
    row = next(
        line
        for line in (ROOT / "data_scripts" / "README.md").read_text("utf-8").splitlines()
        if f"[`{path.name}`]" in line
    )
    assert publication.page in row
    assert ("`--download`" in row) == bool(publication.url)


def packed(name, source, nested=False):
    """The source as its publisher packs it: zip or tar, with a folder around it, and archives within."""
    content = io.BytesIO()
    top = source.parent
    if script(name).publication.suffix == ".tar":
        with tarfile.open(fileobj=content, mode="w") as bundle:
            bundle.add(source, source.name)
        return content.getvalue()
    with zipfile.ZipFile(content, "w") as bundle:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            bundle.write(path, str(path.relative_to(top)))
    return content.getvalue()


@pytest.mark.parametrize("name", [name for name in NAMES if script(name).publication.url])
def test_what_may_be_fetched_is_fetched_unpacked_and_imported(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    content = packed(name, SOURCES[name](tmp_path / "made" / "top"))
    with publishing(content) as publisher:
        known = script(name).publication.md5
        publication = replace(
            script(name).publication,
            url=publisher.url(),
            md5=hashlib.md5(content).hexdigest() if known else "",
        )
        lines = list(fetch(publication, tmp_path / "source"))
    assert lines[1].endswith("as expected" if known else "not checked, as none is known")
    replace(script(name), publication=publication).import_published(
        tmp_path / "source", tmp_path / "a.npz", 16
    )
    assert read_archive(tmp_path / "a.npz").n >= 4


def test_archives_in_a_download_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    source = SOURCES["covid_ct_ucsd"](tmp_path / "made" / "COVID-CT-master")
    images = source / "Images-processed"
    for name in ("CT_COVID", "CT_NonCOVID"):
        with zipfile.ZipFile(images / f"{name}.zip", "w") as bundle:
            for path in sorted((images / name).iterdir()):
                bundle.write(path, f"{name}/{path.name}")
                path.unlink()
        (images / name).rmdir()
    with publishing(packed("covid_ct_ucsd", source)) as publisher:
        publication = replace(script("covid_ct_ucsd").publication, url=publisher.url())
        list(fetch(publication, tmp_path / "source"))
    script("covid_ct_ucsd").import_published(tmp_path / "source", tmp_path / "a.npz", 16)
    assert read_archive(tmp_path / "a.npz").n == 6


def test_a_download_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    content = packed("sars_cov_2_ct", SOURCES["sars_cov_2_ct"](tmp_path / "made" / "top", n=120))
    with publishing(content) as publisher:
        publication = replace(script("msd_hippocampus").publication, url=publisher.url(), suffix=".zip")
        publication = replace(publication, md5=hashlib.md5(content).hexdigest())
        publisher.allowances = [65_536, 0]
        with pytest.raises(MedtlError, match="65536 bytes are kept"):
            list(fetch(publication, tmp_path / "source"))
        assert not (tmp_path / "source").exists()
        list(fetch(publication, tmp_path / "source"))
    assert publisher.asked[-1] == "bytes=65536-"
    assert packed_path(publication).read_bytes() == content
    assert (tmp_path / "source" / "COVID").is_dir()


def test_what_is_fetched_may_not_be_another_file_or_go_to_a_full_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    with publishing(b"another") as publisher:
        publication = replace(script("msd_hippocampus").publication, url=publisher.url())
        with pytest.raises(MedtlError, match="checksum mismatch"):
            list(fetch(publication, tmp_path / "source"))
    assert not (tmp_path / "source").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    with pytest.raises(MedtlError, match="found files in"):
        list(fetch(publication, tmp_path / "full"))
    with pytest.raises(MedtlError, match=r"login or form; get it from https://www\.kaggle"):
        list(fetch(script("rsna_pneumonia").publication, tmp_path / "new"))
