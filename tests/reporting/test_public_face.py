"""The room's face: light to import, and every name where the lessons look for it."""

import subprocess
import sys
from pathlib import Path

import pytest

import medtl_core.reporting as show


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_room_loads_neither_figures_nor_networks():
    heavy = "[m for m in ('matplotlib', 'torch', 'seaborn', 'pandas', 'scipy') if m in sys.modules]"
    assert run(f"import sys, medtl_core.reporting; print({heavy})") == "[]\n"


@pytest.mark.slow
def test_tables_and_sentences_load_no_figures_and_no_networks():
    code = "import sys; from medtl_core.reporting import arm_table, Check, use_style; "
    assert run(code + "print([m for m in ('matplotlib', 'torch') if m in sys.modules])") == "[]\n"


def test_every_name_is_there_and_none_is_that_of_a_file():
    for name in show.__all__:
        assert callable(getattr(show, name)), name
    files = {path.stem for path in Path(show.__file__).parent.glob("*.py")}
    assert not files & set(show.__all__)
