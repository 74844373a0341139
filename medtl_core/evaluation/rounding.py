"""Numbers as a sentence or a label shows them."""

import math


def decimals_for(half_width: float, bounded: bool) -> int:
    """Digits after the point that an estimate deserves: one of its uncertainty, two at least for a score.

    `half_width` is that of its interval, in the metric's unit (0 or NaN: unknown); never more than four.
    """
    fewest = 2 if bounded else 0
    if not half_width or not math.isfinite(half_width):
        return 2
    return min(max(fewest, math.ceil(-math.log10(half_width))), 4)


def counted(count: int, thing: str) -> str:
    """`one seed`, `3 seeds`, `no seeds`: a count and what is counted, which takes an s."""
    return {0: f"no {thing}s", 1: f"one {thing}"}.get(count, f"{count} {thing}s")


def number(value: float, decimals: int = 2, sign: bool = False) -> str:
    """A number for a reader: .93 without its zero, 1,024 with a comma, a true minus, and no minus zero."""
    text = f"{abs(value):,.{0 if abs(value) >= 1000 else decimals}f}"
    mark = "" if not text.strip("0.,") else "−" if value < 0 else "+" if sign else ""
    return mark + (text[1:] if text.startswith("0.") else text)
