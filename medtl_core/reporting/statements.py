"""The sentences of a notebook's statements, from the reference run."""

from pathlib import Path

from medtl_core.evidence.ledger import build_ledger
from medtl_core.evidence.reference_run import read_kept
from medtl_core.evidence.register import Register, load_register
from medtl_core.reporting.markdown_text import Prose
from medtl_core.reporting.reference import NOTHING_KEPT, reference_folder
from medtl_core.settings import project_root


def statement_sentences(
    notebook: str, reference: str | Path | None = None, register: Register | None = None
) -> Prose:
    """Word and sentence of each statement that the reference run measured for a notebook, a paragraph each.

    `reference` is the folder of a kept run (relative: from the project's), by default the first that holds
    records of the notebook. *Exploratory* stands where a rule is younger than its records. MedtlError for a
    folder that holds no kept run.
    """
    folder = reference_folder(notebook) if reference is None else project_root() / reference
    if folder is None:
        return Prose(NOTHING_KEPT)
    rows = build_ledger(register or load_register(), read_kept(folder), notebook).rows()
    said = [row for row in rows if row["sentence"]]
    if not said:
        return Prose(NOTHING_KEPT)
    paragraphs = [
        f"**{row['id']}: {row['verdict']}**"
        f"{' (exploratory)' if row['rule_changed_after_measurement'] else ''}. "
        f"*{row['statement']}* {row['sentence']}"
        for row in said
    ]
    return Prose("\n\n".join(paragraphs))
