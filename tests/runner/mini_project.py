"""Mini notebooks and a project that holds them."""

import json
from pathlib import Path

DEFAULTS = """\
dataset: str = "phantoms"  # archive to learn from; a data set
seeds: int = 3  # paired seeds; 1 to 50
"""

CLAIMS = """\
head:
  title: "A small survey"
  ids: [{pattern: 'C\\d{3}', name: statements}]
  sections: {"1": {name: all}}
  populations:
    medical_images: {name: "medical images"}
    method: {name: "a method", synthetic_is_evidence: true}
entries:
- id: C001
  section: "1"
  statement: "The sum of the mini notebook is right"
  kind: method
  handling: test
  notebook: 01_first
  population: method
  rules:
    - reading: main
      hypothesis: "The deviation is zero"
      kind: deterministic
      study: checks
      metric: deviation
      tolerance: {op: "<=", value: 0.0}
- id: C002
  section: "1"
  statement: "Nobody measures this yet"
  kind: empirical
  handling: test
"""


def write_notebook(path: Path, *cells: str, parameters: str = DEFAULTS) -> Path:
    """A notebook with a title, a parameters cell and the given code cells."""

    def cell(index: int, kind: str, source: str, tags: list[str]) -> dict:
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"id": f"c{index}", "cell_type": kind, "source": source, "metadata": {"tags": tags}} | more

    content = [
        cell(0, "markdown", f"# About {path.stem}\n\nText.", []),
        cell(1, "code", parameters, ["parameters"]),
    ]
    content += [cell(index, "code", source, []) for index, source in enumerate(cells, 2)]
    metadata = {"kernelspec": {"name": "not-installed", "display_name": "x", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": content, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


RECORD = """\
from medtl_core.evidence.record_store import record_check

total = seeds + 1
record_check("01_first", "deviation", float(total - seeds - 1))
"""


def make_project(folder: Path) -> Path:
    """A project with notebooks/claims.yaml, a profile `smoke` and two notebooks; returns `folder`."""
    write_notebook(folder / "notebooks" / "01_first.ipynb", RECORD, "total")
    write_notebook(
        folder / "notebooks" / "02_second.ipynb",
        "print(dataset)",
        parameters=DEFAULTS + "sizes: list[int] = [8, 16]  # images; at least 2\n",
    )
    (folder / "notebooks" / "claims.yaml").write_text(CLAIMS)
    profiles = folder / "notebooks" / "profiles"
    profiles.mkdir()
    profiles.joinpath("smoke.yaml").write_text(
        "{name: smoke, description: defaults, budget: {minutes: 1, memory_gib: 2}}\n"
    )
    return folder
