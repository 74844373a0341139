"""Small made-up sources with the exact layouts of their publishers; `n` is about the cases of each class."""

from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, pixels=None, seed=0, channels=(), shape=(20, 24), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*shape, *channels), np.uint8)
    Image.fromarray(noise if pixels is None else pixels).save(path, **options)
    return path


def blob(seed, shape=(20, 24), value=255) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    top = 2 + seed % 6
    mask[top : top + 5, 3:9] = value
    return mask


def kermany_chest_xray(folder, n=2):
    names = {"NORMAL": "IM-0{}-000{}.jpeg", "PNEUMONIA": "person{}_bacteria_{}.jpeg"}
    for k, split in enumerate(("train", "test", "val")):
        for name, pattern in names.items():
            for i in range(n):
                save(folder / split / name / pattern.format(100 * (k + 1) + i // 2, i), seed=100 * k + i)
    save(folder / "train" / "NORMAL" / "NORMAL2-IM-0100-0001.jpeg")
    (folder / "train" / ".DS_Store").write_text("")
    return folder


def busi(folder, n=2):
    for name in ("benign", "malignant", "normal"):
        for i in range(1, n + 1):
            mask = np.zeros((20, 24), np.uint8)
            if name != "normal":
                mask[2:6, :8] = 255
            save(folder / name / f"{name} ({i}).png", seed=i, channels=(3,))
            save(folder / name / f"{name} ({i})_mask.png", mask)
    second = np.zeros((20, 24), np.uint8)
    second[10:16, 8:] = 255
    save(folder / "benign" / "benign (1)_mask_1.png", second)
    return folder


def ham10000(folder, n=2):
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"
    rows = [
        f"HAM_000{i // 2},ISIC_002{i},{('nv', 'mel')[i // n]},histo,8{i}.0,male,back,vidir"
        for i in range(2 * n)
    ]
    for i in range(2 * n):
        save(folder / f"HAM10000_images_part_{i % 2 + 1}" / f"ISIC_002{i}.jpg", seed=i, channels=(3,))
    (folder / "HAM10000_metadata.csv").write_text("\n".join([head, *rows]))
    return folder


def nih_chest_xray14(folder, n=2):
    head = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    rows, tested = [], []
    for i in range(2 * n + 1):
        finding = "Cardiomegaly|Effusion" if i == 2 * n else ("No Finding", "Mass")[i // n]
        name = f"{i // 2 + 1:08}_{i % 2:03}.png"
        save(folder / f"images_{i % 3 + 1:03}" / "images" / name, seed=i)
        rows.append(f"{name},{finding},{i % 2},{i // 2 + 1},0{i}8,M,PA,2682,2749,0.143,0.143,")
        tested += [name] if i // 2 % 3 == 1 else []  # every third patient
    (folder / "Data_Entry_2017.csv").write_text("\r\n".join([head, *rows]) + "\r\n")
    (folder / "test_list.txt").write_text("\n".join(tested) + "\n")
    return folder


def white_blood_cells(folder, n=2):
    for name in ("Dataset 1", "Dataset 2"):
        lines = ["image ID,class label"]
        for i in range(1, 2 * n + 1):
            lines.append(f"{i},{i % 2 + 1}")
            save(folder / name / f"{i:03}.bmp", seed=i, channels=(3,))
            mask = blob(i, value=128)
            mask[4:6, 4:6] = 255
            save(folder / name / f"{i:03}.png", mask)
        (folder / f"Class Labels of {name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "README.md").write_text("cells")
    return folder


BOX = (
    "<object><name>{}</name><bndbox>"
    "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    "</bndbox></object>"
)


def bccd(folder, n=2):
    parts: dict = {"train": [], "val": [], "test": []}
    for i in range(3 * n):
        stem = f"BloodImage_{i:05}"
        save(folder / "BCCD" / "JPEGImages" / f"{stem}.jpg", seed=i, channels=(3,), shape=(48, 64))
        boxes = [BOX.format("WBC", 4, 6, 30, 28), BOX.format("RBC", 40, 20, 70, 60)]
        if i == 0:
            boxes.append(BOX.format("RBC", 5, 5, 5, 9))
        annotation = folder / "BCCD" / "Annotations" / f"{stem}.xml"
        annotation.parent.mkdir(exist_ok=True)
        annotation.write_text(f"<annotation><filename>{stem}.jpg</filename>{''.join(boxes)}</annotation>")
        parts[list(parts)[i % 3]].append(stem)
    (folder / "BCCD" / "ImageSets" / "Main").mkdir(parents=True)
    for part, stems in parts.items():
        (folder / "BCCD" / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(stems) + "\n")
    return folder


def figshare_brain_tumours(folder, n=2):
    import h5py

    folder.mkdir(parents=True)
    (folder / "brainTumorDataPublic_1-766").mkdir()
    for i in range(1, 3 * n + 1):
        path = folder / "brainTumorDataPublic_1-766" / f"{i}.mat"
        with h5py.File(path, "w", userblock_size=512) as file:
            group = file.create_group("cjdata")
            group["image"] = np.random.default_rng(i).integers(0, 3000, (20, 24)).astype(np.int16)
            group["tumorMask"] = blob(i, value=1)
            group["label"] = np.array([[float(i % 3 + 1)]])
            group["PID"] = np.array([[ord(letter)] for letter in f"0{i // 2:05}"], np.uint16)
            group["PID"].attrs["MATLAB_class"] = np.bytes_("char")
    with h5py.File(folder / "cvind.mat", "w", userblock_size=512) as file:
        file["cvind"] = np.ones((1, 3 * n))
    return folder


def covid_ct_ucsd(folder, n=2):
    images = folder / "Images-processed"
    for i in range(n):
        save(images / "CT_COVID" / f"2020.02.22.{20024927 + i // 2}-p{i}-66%{i}.png", seed=i, channels=(4,))
        save(images / "CT_NonCOVID" / f"{40 + i // 2}%{i}.jpg", seed=100 + i)
    save(images / "CT_COVID" / "PIIS0140673620303603%8.png", seed=77)
    save(images / "CT_NonCOVID" / "673.png", seed=78)
    (folder / "Data-split" / "COVID").mkdir(parents=True)
    (folder / "Data-split" / "COVID" / "trainCT_COVID.txt").write_text("PIIS0140673620303603%8.png\n")
    return folder


def sars_cov_2_ct(folder, n=2):
    for i in range(1, n + 1):
        save(folder / "COVID" / f"Covid ({i}).png", seed=i, channels=(3,))
        save(folder / "non-COVID" / f"Non-Covid ({i}).png", seed=50 + i, channels=(3,))
    return folder


def dsb2018_nuclei(folder, n=2):
    for i in range(2 * n):
        name = f"{i:064x}"
        save(folder / name / "images" / f"{name}.png", seed=i, channels=(4,))
        for k in range(1 + i):
            save(folder / name / "masks" / f"{1000 * i + k:064x}.png", blob(k, value=255))
    return folder


def msd_hippocampus(folder, n=2):
    import nibabel

    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    rng = np.random.default_rng(0)
    for i in range(1, n + 1):
        values = rng.integers(0, 5000, (14, 18, 12)).astype(np.int16)
        mask = np.zeros((14, 18, 12), np.uint8)
        mask[4:9, 3:8, 4:8], mask[4:9, 8:14, 4:8] = 2, 1
        for kind, array in (("imagesTr", values), ("labelsTr", mask)):
            volume = nibabel.Nifti1Image(array, np.eye(4))
            nibabel.save(volume, folder / kind / f"hippocampus_{i:03}.nii.gz")
    (folder / "imagesTr" / "._hippocampus_001.nii.gz").write_bytes(b"\0")
    (folder / "dataset.json").write_text("{}")
    return folder


def rsna_pneumonia(folder, n=2):
    from made_up_dicom import save_dicom

    rows = ["patientId,class"]
    for i in range(2 * n):
        label = ("Normal", "Lung Opacity")[i % 2]
        pixels = np.random.default_rng(i).integers(0, 256, (20, 24), np.uint8)
        save_dicom(folder / "stage_2_train_images" / f"00{i:02}cd.dcm", pixels, patient=f"00{i:02}cd", bits=8)
        rows += [f"00{i:02}cd,{label}"] * (1 + i % 2)
    (folder / "stage_2_detailed_class_info.csv").write_text("\n".join(rows) + "\n")
    return folder


SOURCES = {
    build.__name__: build
    for build in (
        bccd, busi, covid_ct_ucsd, dsb2018_nuclei, figshare_brain_tumours, ham10000, kermany_chest_xray,
        msd_hippocampus, nih_chest_xray14, rsna_pneumonia, sars_cov_2_ct, white_blood_cells,
    )
}  # fmt: skip
