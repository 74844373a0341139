"""The engine serves another survey: text retrieval, without images and without torch.

A project of its own, as somebody would write it who has installed the package: a register with its own ids
and sections, a short study in `studies/`, a profile. It runs, is judged, reported and checked.
"""

import json
import os
import subprocess
import sys
import textwrap

import nbformat
import pytest

pytestmark = pytest.mark.slow

REGISTER = """
head:
  title: "Doe (2020). Retrieval by words."
  ids:
    - {pattern: 'T\\d', name: statements, count: 2}
  sections:
    ranking: {name: ranking, count: 2}
  populations:
    documents: {name: documents}

entries:
- id: T1
  section: ranking
  statement: "Weighting words by their rarity finds more relevant documents than counting them."
  kind: empirical
  handling: test
  notebook: retrieval
  rules:
    - reading: main
      hypothesis: "tf-idf beats counts"
      kind: superiority
      study: weighting
      metric: precision_at_1
      treatment: tfidf
      control: counts
      margin: 0.05
- id: T2
  section: ranking
  statement: "Nobody measured this."
  kind: empirical
  handling: test
  notebook: retrieval
"""

CELLS = (
    "# Retrieval\n\nA study of words.",
    """
    documents: int = 120  # documents of the made-up collection; 20 to 10000
    seeds: int = 5  # collections; 1 to 50
    """,
    """
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from medtl_core.study import DataIdentity, Study

    def collection(seed):
        rng = np.random.default_rng(seed)
        topics = rng.integers(0, 12, documents)
        texts = [
            " ".join(["the"] * int(rng.integers(0, 40)) + [f"topic{t}"] + [f"word{rng.integers(0, 30)}"] * 3)
            for t in topics
        ]
        return texts, topics

    def weighting(arm, seed):
        texts, topics = collection(seed)
        kind = {"tfidf": TfidfVectorizer, "counts": CountVectorizer}[arm]
        found = kind().fit_transform(texts)
        queries = kind().fit(texts).transform([f"the topic{t}" for t in range(12)])
        best = np.asarray((queries @ found.T).argmax(axis=1)).ravel()
        return {"precision_at_1": float((topics[best] == np.arange(12)).mean())}

    table = Study(
        "weighting", notebook="retrieval", trial=weighting, arms=["tfidf", "counts"], seeds=range(seeds),
        data=DataIdentity("toy_collection", "drawn in the trial", synthetic=False),
        directions={"precision_at_1": "higher"}, n_test=12,
    ).run(progress=False)
    """,
    """
    from medtl_core.reporting import paired_table

    display(paired_table(table, [("tfidf", "counts")], "precision_at_1"))
    """,
    """
    import sys
    assert "torch" not in sys.modules
    """,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("survey")
    for folder in ("notebooks/profiles", "studies"):
        (root / folder).mkdir(parents=True)
    (root / "notebooks" / "claims.yaml").write_text(REGISTER)
    (root / "notebooks" / "profiles" / "smoke.yaml").write_text(
        "name: smoke\ndescription: a small run\nbudget: {minutes: 2, memory_gib: 2}\n"
    )
    cells = [textwrap.dedent(cell).strip() for cell in CELLS]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(cells[0]), *map(nbformat.v4.new_code_cell, cells[1:])]
    )
    notebook.cells[1].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, root / "studies" / "retrieval.ipynb")
    return root


def medtl(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDTL_")}
    command = [sys.executable, "-m", "medtl_core", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(project):
    return medtl(project, "run", "-p", "documents=90")


def test_a_study_about_texts_runs_to_its_verdict(project, run):
    assert run.returncode == 0, run.stdout + run.stderr
    answer = medtl(project, "ledger", "--json")
    rows = {row["id"]: row for row in json.loads(answer.stdout)}
    assert rows["T1"]["verdict"] == "supported", rows["T1"]["reason"]
    assert rows["T1"]["datasets"]["toy_collection"]["seeds"] == 5
    assert rows["T2"]["verdict"] == "pending"


def test_the_report_speaks_of_that_survey_alone(project, run):
    page = next((project / "runs").rglob("report.html")).read_text("utf-8")
    assert "Retrieval by words" in page
    assert "medical" not in page
    assert "Gu" not in page.split()


def test_its_rules_are_held_against_its_study(project, run):
    assert medtl(project, "check", "smoke-cpu").returncode == 0
    register = project / "notebooks" / "claims.yaml"
    before = register.read_text()
    register.write_text(before.replace("control: counts", "control: bm25"))
    try:
        checked = medtl(project, "check", "smoke-cpu")
    finally:
        register.write_text(before)
    assert checked.returncode == 2
    assert "bm25" in checked.stderr + checked.stdout


def test_a_second_run_finds_everything_done(project, run):
    again = medtl(project, "run", "-p", "documents=90")
    assert again.returncode == 0
    assert "already done" in again.stdout
