"""Progress bars: a widget in a notebook that has ipywidgets, text elsewhere."""

import warnings

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # Without ipywidgets the bar is text, which is fine; the warning would stand in every notebook's output.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm import tqdm

__all__ = ["tqdm"]
