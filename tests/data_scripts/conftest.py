"""`pytest tests/data_scripts --every-script` runs the archive of every script through a notebook."""

import sys
from pathlib import Path

for folder in ("data/importers", "data"):  # what their tests make up
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))


def pytest_addoption(parser):
    parser.addoption(
        "--every-script",
        action="store_true",
        help="run the archives of all data scripts through 02_fine_tuning, about 25 s each",
    )
