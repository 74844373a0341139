"""Fonts of figures: names of classes and files come in any script."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

FIRST = "DejaVu Sans"
FURTHER = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC",
    "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans", "Arial Unicode MS",
)  # fmt: skip
"""Asked in this order for a character that the first one lacks, as far as they are installed."""


def sans_serif() -> list[str]:
    """The font of all figures, and the installed ones that stand in where it lacks a character."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [FIRST, *(name for name in FURTHER if name in installed)]


@contextmanager
def any_script() -> Iterator[None]:
    """Draw text in any script; a character that no installed font has is a box, and no warning on stderr."""
    import matplotlib as mpl

    with mpl.rc_context({"font.sans-serif": sans_serif()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield
