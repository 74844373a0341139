"""An executed notebook as a page. It is a convenience: without it a run is what it was."""

from pathlib import Path

import nbformat
from nbconvert import HTMLExporter


def write_page(executed: Path) -> str | None:
    """Writes the page beside the notebook; returns why there is none, None if there is one.

    Whatever stops nbconvert (templates that are not installed, a full disk) is returned, never raised.
    """
    page = executed.with_suffix(".html")
    page.unlink(missing_ok=True)
    try:
        notebook = nbformat.read(executed, as_version=4)
        text, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": executed.stem}})
        page.write_text(text, encoding="utf-8")
    except Exception as error:  # of nbconvert, Jinja, pandoc, plugins: all of them
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None
