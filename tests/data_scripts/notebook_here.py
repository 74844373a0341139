"""A notebook's cells in this process: the start of a kernel costs as much as a small notebook itself."""

import linecache
import warnings

import jupytext
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display


def run_here(source, parameters) -> dict:
    """Run all code cells of a notebook, a .py file of jupytext, with these parameters; its variables."""
    variables = {"__name__": "__main__", "display": display}
    threads, numpy_state = torch.get_num_threads(), np.random.get_state()  # noqa: NPY002
    try:
        with matplotlib.rc_context(), warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            for number, cell in enumerate(jupytext.read(source).cells):
                if cell.cell_type == "code":
                    _run(cell.source, f"<{source.stem}, cell {number}>", variables)
                if "parameters" in cell.metadata.get("tags", ()):
                    assert not set(parameters) - set(variables)
                    variables |= parameters
    finally:
        plt.close("all")
        torch.set_num_threads(threads)
        np.random.set_state(numpy_state)  # noqa: NPY002
    return variables


def _run(text, name, variables):
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)  # a study reads its trial's source
    exec(compile(text, name, "exec"), variables)
