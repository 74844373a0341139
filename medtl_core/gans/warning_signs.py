"""Signs that a generator has failed: all images alike, or an output that equals its input."""

from torch import Tensor

ALIKE_BELOW = 0.1
SAME_BELOW = 0.005


def relative_diversity(generated: Tensor, real: Tensor) -> float:
    """Spread of a pixel over the generated images as a share of that over real ones; (N, C, H, W) each.

    The standard deviation over images, averaged over pixels. 1 where both vary alike, 0 where all generated
    images are the same one.
    """
    spread = real.float().std(0).mean()
    return float(generated.float().std(0).mean() / spread) if spread > 0 else float("nan")


def collapse_sign(generated: Tensor, real: Tensor) -> str | None:
    """One line where the relative diversity is below .1 (of at least two images), else None."""
    share = relative_diversity(generated, real)
    if len(generated) < 2 or not share < ALIKE_BELOW:
        return None
    return (
        f"collapse: generated images vary {share:.2g} times as much as real ones, expected at least "
        f"{ALIKE_BELOW:g}; lower the learning rate or augment differentiably"
    )


def unchanged_sign(output: Tensor, given: Tensor) -> str | None:
    """One line where output and input, of values 0 to 1, differ by less than .005 on average, else None."""
    if output.shape != given.shape:
        return None
    change = float((output.float() - given.float()).abs().mean())
    if change >= SAME_BELOW:
        return None
    return (
        f"output equals input: mean difference {change:.2g} of values 0 to 1, expected at least "
        f"{SAME_BELOW:g}; lower the identity or cycle weight, or train longer"
    )
