"""The rooms of the package: who may import whom, and what a room's face offers."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from medtl_core.settings import PACKAGE

NAME = PACKAGE.name
# From the ground up: a room imports its own floor's other rooms only where BESIDE says so.
FLOORS = (
    (
        "errors",
        "files",
        "fonts",
        "inputs",
        "memory",
        "npz",
        "orphans",
        "paired_timing",
        "settings",
        "source_hash",
    ),
    ("data", "evaluation"),
    ("backbones", "evidence", "runner"),
    ("study", "reporting"),
    ("training",),
    (
        "transfer",
        "truncation",
        "augmentation",
        "gans",
        "adaptation",
        "segmentation",
        "explanation",
        "imbalance",
    ),
    ("cli", "__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FAMILIES = set(FLOORS[5])
BESIDE = {("adaptation", "gans"), ("runner", "evidence"), ("__main__", "cli")}
SCIENCE = {"data", "backbones", "training", *FAMILIES}
ENGINE = {"study", "evidence", "reporting", "runner"}
# The command line of this survey's own data and networks.
SCIENCE_COMMANDS = {"cli.app", "cli.data", "cli.data_audit", "cli.data_import", "cli.pretrain", "cli.inputs"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, wherever it does, types apart."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in types and node.module:
            if node.module.partition(".")[0] == NAME:
                base = node.module.removeprefix(NAME).removeprefix(".")
                for alias in node.names:
                    inner = f"{base}.{alias.name}".removeprefix(".")
                    found.add(inner if inner in FILES else base)
        elif isinstance(node, ast.Import) and id(node) not in types:
            found |= {a.name.removeprefix(NAME + ".") for a in node.names if a.name.startswith(NAME + ".")}
    return found - {""}


IMPORTS = {name: imported(path) for name, path in FILES.items()}


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_its_floor():
    assert {room(module) for module in FILES if module} <= set(FLOOR)


def test_a_room_imports_lower_floors_only():
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if module and room(other) != room(module) and (room(module), room(other)) not in BESIDE
        if FLOOR[room(other)] >= FLOOR[room(module)]
        if not (FLOOR[room(other)] == FLOOR[room(module)] == 0)
    ]
    assert wrong == []


def test_a_family_imports_no_other_family():
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if {room(module), room(other)} <= FAMILIES and room(module) != room(other)
        if (room(module), room(other)) not in BESIDE
    ]
    assert wrong == []


def test_the_engine_knows_nothing_of_images_and_networks():
    engine = [m for m in FILES if room(m) in ENGINE or (room(m) == "cli" and m not in SCIENCE_COMMANDS)]
    wrong = [
        f"{module} imports {other}"
        for module in engine
        for other in IMPORTS[module]
        if room(other) in SCIENCE
    ]
    assert wrong == []


def test_there_is_no_circle_of_files():
    left = {module: set(others) & set(FILES) for module, others in IMPORTS.items()}
    while ends := [module for module, others in left.items() if not others]:
        for module in ends:
            del left[module]
        left = {module: others - set(ends) for module, others in left.items()}
    assert left == {}


FACES = sorted(m for m, path in FILES.items() if "lazy.attach" in path.read_text("utf-8"))


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_is_there_and_none_is_that_of_a_file(face):
    package = importlib.import_module(f"{NAME}.{face}" if face else NAME)
    names = set(dir(package)) - {name for name in dir(package) if name.startswith("__")}
    assert names
    files = {name.rpartition(".")[2] for name in FILES if name.rpartition(".")[0] == face}
    for name in names:
        value = getattr(package, name)
        if name in files:
            assert value is sys.modules.get(f"{NAME}.{face}.{name}".replace("..", "."))


def loaded_by(code: str) -> set[str]:
    heavy = "{'torch', 'timm', 'matplotlib', 'sklearn', 'skimage', 'distributed'}"
    command = f"import sys\n{code}\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_all_faces_loads_nothing_heavy():
    rooms = ", ".join(face.partition(".")[0] for face in FACES if face and "." not in face)
    assert loaded_by(f"import {NAME}\nfrom {NAME} import {rooms}") == set()


@pytest.mark.slow
def test_importing_a_study_loads_no_torch():
    assert "torch" not in loaded_by(
        f"from {NAME}.study import Study, Predictions, seed_everything, DataIdentity"
    )
