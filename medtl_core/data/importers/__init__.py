"""Importers: from folders of images, tables, DICOM and NIfTI files to one archive.

listing = list_folders(source, problems)
import_archive(listing, Frame(size=64), "chest.npz", problems)
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cases": ["Case", "Listing", "Problems", "joined"],
        "folders": ["list_folders"],
        "frame": ["Frame"],
        "importing": ["Imported", "import_archive"],
        "columns": ["Columns"],
        "table": ["list_table"],
        "window": ["Window"],
    },
)
