"""DICOM files that the tests of the importers make."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def save_dicom(path: Path, pixels=None, patient="0042", bits=16, **tags) -> Path:
    """A file with pixels (H, W), (H, W, 3) or, given NumberOfFrames, (F, H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(144, dtype=np.uint16).reshape(12, 12) if pixels is None else pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    header.PatientID, header.PatientName = patient, "Doe^Jane"
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    colour = pixels.ndim == 3 and "NumberOfFrames" not in tags
    header.SamplesPerPixel = 3 if colour else 1
    header.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        header.PlanarConfiguration = 0
    header.Rows, header.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    header.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    header.save_as(path, enforce_file_format=True)
    return path
