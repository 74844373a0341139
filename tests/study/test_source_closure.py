"""What a definition of the package reaches, followed through a made-up package and through the real one."""

import ast
import shutil
import textwrap

import pytest

from medtl_core.errors import MedtlError
from medtl_core.source_hash import PACKAGE
from medtl_core.study.source_closure import EVERYTHING, SourceTree

FILES = {
    "__init__": "",
    "losses/__init__": """
        import lazy_loader as lazy
        __getattr__, __dir__, __all__ = lazy.attach(__name__, submod_attrs={"focal": ["focal_loss", "GAMMA"]})
    """,
    "losses/focal": """
        import math
        import numpy as np
        from pack.losses.shapes import SHAPES
        GAMMA = 2
        unused = 1
        def focal_loss(p):
            return (1 - p) ** GAMMA * np.log(p) + SHAPES["plain"](p)
        def other(p):
            return math.sqrt(p)
    """,
    "losses/shapes": """
        SHAPES = {}
        def register(name):
            def keep(shape):
                SHAPES[name] = shape
                return shape
            return keep
        @register("plain")
        def plain(p):
            return p
    """,
    "train": """
        from typing import TYPE_CHECKING
        from pack import losses
        import pack.tools.steps
        if TYPE_CHECKING:
            import torch
        class Trainer:
            def step(self, p):
                from pack.tools.lazy import late
                return losses.focal_loss(p) + late(p) + pack.tools.steps.STEP
        def by_name():
            return "pack.tools.lazy:late"
        def nothing():
            return 0
    """,
    "tools/__init__": "",
    "tools/steps": "STEP = 1\nREST = 2\n",
    "tools/lazy": """
        import scipy.special
        FLAGS = {}
        FLAGS["x"] = 1
        def late(p):
            return scipy.special.expit(p)
    """,
}


@pytest.fixture
def package(tmp_path):
    """Writes the package, with some files replaced or added, and returns its root."""

    def write(**changes):
        root = tmp_path / "pack"
        shutil.rmtree(root, ignore_errors=True)
        for name, text in {**FILES, **{k.replace("__0__", "/"): v for k, v in changes.items()}}.items():
            path = root / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return root

    return write


def reached(root, module, name):
    return SourceTree(root).closure([(module, name)])


def test_only_what_is_named_is_reached(package):
    found = reached(package(), "pack.losses.focal", "focal_loss")
    assert set(found.sources) == {
        ("pack.losses.focal", "focal_loss"),
        ("pack.losses.focal", "GAMMA"),
        ("pack.losses.focal", "<actions>"),
        ("pack.losses.shapes", "SHAPES"),
        ("pack.losses.shapes", "register"),
        ("pack.losses.shapes", "<actions>"),  # holds the function that a decorator enters into the table
    }
    assert found.libraries == {"numpy"}


def test_a_class_reaches_through_faces_lazy_imports_and_dotted_names(package):
    found = reached(package(), "pack.train", "Trainer")
    assert {
        ("pack.losses.focal", "focal_loss"),
        ("pack.tools.lazy", "late"),
        ("pack.tools.lazy", "<actions>"),
        ("pack.tools.lazy", "FLAGS"),
        ("pack.tools.steps", "STEP"),
    } <= set(found.sources)
    assert ("pack.tools.steps", "REST") not in found.sources
    assert found.libraries == {"numpy", "scipy"}


def test_a_text_that_names_a_definition_reaches_it(package):
    found = reached(package(), "pack.train", "by_name")
    assert ("pack.tools.lazy", "late") in found.sources
    assert reached(package(), "pack.train", "nothing").modules == ["pack.train"]


def test_the_same_roots_are_followed_once_and_others_on_their_own(package):
    tree = SourceTree(package())
    focal, shapes = ("pack.losses.focal", "focal_loss"), ("pack.losses.shapes", "plain")
    assert tree.closure([focal, shapes]) is tree.closure([shapes, focal])
    assert tree.closure([shapes]).sources.keys() < tree.closure([focal, shapes]).sources.keys()


def test_a_module_as_a_whole(package):
    found = reached(package(), "pack.tools.steps", EVERYTHING)
    assert {name for _, name in found.sources} == {"STEP", "REST", "<actions>"}


CHANGES = {
    "the function": ("losses/focal", "** GAMMA", "** GAMMA * 2", True),
    "a constant that it uses": ("losses/focal", "GAMMA = 2", "GAMMA = 3", True),
    "what a table holds": ("losses/shapes", "return p\n", "return 2 * p\n", True),
    "a constant that it does not use": ("losses/focal", "unused = 1", "unused = 2", False),
    "another function of its file": ("losses/focal", "math.sqrt", "math.exp", False),
    "a comment": ("losses/focal", "unused = 1", "unused = 1  # why", False),
    "a docstring": (
        "losses/focal",
        "def focal_loss(p):",
        'def focal_loss(p):\n            """Doc."""',
        False,
    ),
    "a file that it does not reach": ("tools/lazy", "expit", "logit", False),
}


@pytest.mark.parametrize(("file", "before", "after", "changes"), CHANGES.values(), ids=CHANGES)
def test_the_digest_changes_with_what_is_reached_and_with_nothing_else(package, file, before, after, changes):
    first = reached(package(), "pack.losses.focal", "focal_loss").digest
    assert before in FILES[file]
    root = package(**{file: FILES[file].replace(before, after)})
    assert (reached(root, "pack.losses.focal", "focal_loss").digest != first) == changes


def test_a_new_file_changes_nothing(package):
    first = reached(package(), "pack.train", "Trainer").digest
    assert (
        reached(package(**{"gans/dcgan": "def train(): return 1"}), "pack.train", "Trainer").digest == first
    )


def test_changed_source_is_refused_where_it_would_be_imported(package):
    root = package()
    tree = SourceTree(root)
    digests = {"pack.train": tree.digest("pack.train")}
    tree.require(digests)
    (root / "train.py").write_text("x = 1")
    with pytest.raises(MedtlError, match=r"train\.py: found other source than when this process started"):
        tree.require_unchanged_if_not_loaded(["pack.train"])
    with pytest.raises(MedtlError, match=r"pack\.train: found other source than when the study began"):
        SourceTree(root).require(digests)


ROOMS = sorted(
    path.parent.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("__init__.py")
    if path.parent != PACKAGE and any(p.name != "__init__.py" for p in path.parent.glob("*.py"))
)


def definitions(path):
    """Two functions of a file, neither of which reaches the other: names and last line numbers."""
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy") / PACKAGE.name
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


QUICK = {"evidence/rules", "gans", "segmentation"}  # its functions reach few files


@pytest.mark.parametrize(
    "room", [room if room in QUICK else pytest.param(room, marks=pytest.mark.slow) for room in ROOMS]
)
def test_in_every_room_a_function_that_is_used_counts_and_others_do_not(copied, room):
    tree = SourceTree(copied)
    found = []
    for path in sorted((copied / room).glob("*.py")):
        module = ".".join((PACKAGE.name, *path.relative_to(copied).with_suffix("").parts))
        if path.name != "__init__.py":
            found += [(path, module, function) for function in definitions(path)]
    path, module, used = found[0]
    root = (module, used.name)
    first = tree.closure([root])
    edits = {
        "used": (path, used),
        "unused": next(
            ((p, f) for p, m, f in found if (m, f.name) not in first.sources and not f.decorator_list), None
        ),
    }
    for kind, edit in edits.items():
        if edit is None:
            continue
        file, function = edit
        lines = file.read_text().splitlines(keepends=True)
        line = function.body[-1].lineno - 1
        changed = [*lines[:line], f"{' ' * function.body[-1].col_offset}edited = 1\n", *lines[line:]]
        file.write_text("".join(changed))
        try:
            same = SourceTree(copied).closure([root]).digest == first.digest
        finally:
            file.write_text("".join(lines))
        assert same == (kind == "unused"), f"{kind}: {file.name}, {function.name}"
