"""The data scripts by name."""

import importlib.util
from pathlib import Path

from medtl_core.data.importers.script import Script

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "data_scripts").glob("*.py"))


def script(name) -> Script:
    spec = importlib.util.spec_from_file_location(name, ROOT / "data_scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SCRIPT
