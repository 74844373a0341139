"""The reference ledger in ten lines and a figure, as README.md shows them.

`python -m medtl_core.reporting.overview` writes both.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from medtl_core.errors import MedtlError
from medtl_core.evidence.ledger import Ledger
from medtl_core.evidence.words import WORDS
from medtl_core.files import write_text
from medtl_core.reporting.closing import reference_ledger, reference_name, told, words_by_evidence
from medtl_core.reporting.forest import COLOURS
from medtl_core.settings import project_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = 8
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"
FIGURE = "overview.svg"
OTHER_COLOURS = {"demonstrated": "#009E73"}


def overview_markdown(ledger: Ledger, folder: Path) -> str:
    """Counts, figure, and the sentences that say most, as Markdown; `folder` holds the figure."""
    patients, made_up = (
        ", ".join(f"{counts[word]} {word}" for word in WORDS if word in counts)
        for counts in words_by_evidence(ledger)
    )
    lines = [
        f"![Words of the reference ledger by notebook]({folder.as_posix()}/{FIGURE})",
        "",
        f"Of {len(ledger.verdicts)} statements, patients' images decide or leave open: {patients}. "
        f"Identities and made-up images alone decide: {made_up}. The others are not measured yet, are "
        "literature, or cannot be tested here.",
        "",
    ]
    lines += [
        f"- **{row['id']}, {row['verdict']}:** *{row['statement']}* {row['sentence']}"
        for row in told(ledger, LINES)
    ]
    return "\n".join(lines)


def overview_figure(ledger: Ledger) -> "Figure":
    """How many statements of each notebook have which word, as stacked bars."""
    from matplotlib.figure import Figure

    colours = COLOURS | OTHER_COLOURS
    found = [v for v in ledger.verdicts if v.verdict in colours and v.claim.notebook]
    notebooks = sorted({str(v.claim.notebook) for v in found}, reverse=True)
    figure = Figure(figsize=(7.2, 0.42 * len(notebooks) + 1.0), layout="constrained")
    axes = figure.subplots()
    left = dict.fromkeys(notebooks, 0)
    for word in (w for w in WORDS if w in {v.verdict for v in found}):
        for i, name in enumerate(notebooks):
            n = sum(v.verdict == word and v.claim.notebook == name for v in found)
            axes.barh(i, n, left=left[name], color=colours[word], label=word if i == 0 else None)
            if n:
                axes.text(left[name] + n / 2, i, str(n), ha="center", va="center", color="white", fontsize=8)
            left[name] += n
    axes.set_yticks(range(len(notebooks)), notebooks, fontsize=8)
    axes.set_xlabel("statements", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def write_overview(root: Path) -> None:
    """Write the figure into the reference's folder and the lines into README.md, between their marks.

    MedtlError where no reference is kept or README.md lacks the marks.
    """
    ledger, folder = reference_ledger(), reference_name()
    if ledger is None or folder is None:
        raise MedtlError("no reference run is kept in results/; keep one: medtl keep RUN results/reference")
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise MedtlError(f"{readme}: found no {BEGIN} and {END}, between which the overview stands; add both")
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "medtl", "svg.fonttype": "none"}):
        overview_figure(ledger).savefig(root / folder / FIGURE, metadata={"Date": None, "Creator": None})
    block = f"{BEGIN}\n{overview_markdown(ledger, folder)}\n{END}"
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    write_text(readme, pattern.sub(lambda _: block, text))


if __name__ == "__main__":
    write_overview(project_root())
