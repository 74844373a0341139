"""Pictures of what transforms do: a sheet of examples, and a slider over the strength."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl_core.augmentation.policy import AugmentationPolicy
from medtl_core.augmentation.transforms import transform
from medtl_core.errors import MedtlError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL = 1.4  # inches a side
_LABEL = 1.5  # inches for the names of the rows
_SHOWN = (0.0, 0.25, 0.5, 0.75, 1.0)


def examples_sheet(
    images: Tensor | NDArray[np.uint8],
    policies: Sequence[str | AugmentationPolicy],
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    seed: int = 0,
) -> Figure:
    """Rows of transforms (names, or policies that are scaled), columns of strengths after the original.

    images: uint8 (N, H, W) or (N, H, W, 3), or float (N, C, H, W) in 0 to 1, C of 1 or 3. The first image
    is shown, and mixing transforms take the others for partners. All panels are drawn from `seed`, so that
    along a row the same change grows. MedtlError for other images, and for names and strengths that are not
    valid.
    """
    from matplotlib.figure import Figure

    batch = _batch(images)
    rows = [_policy(entry) for entry in policies]
    if not rows or not strengths:
        raise MedtlError("examples sheet: no transform or no strength, expected at least one of each")
    width = _LABEL + _PANEL * (1 + len(strengths))
    height = _PANEL * len(rows) + 0.35
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        len(rows),
        1 + len(strengths),
        squeeze=False,
        gridspec_kw={
            "left": _LABEL / width,
            "right": 0.995,
            "top": 1 - 0.33 / height,
            "bottom": 0.02 / height,
            "wspace": 0.04,
            "hspace": 0.04,
        },
    )
    for row, (label, policy) in zip(axes, rows, strict=True):
        for ax, strength in zip(row, (0.0, *strengths), strict=True):
            ax.imshow(_augmented(batch, policy, strength, seed), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10)
    for ax, title in zip(axes[0], ("original", *(f"strength {s:g}" for s in strengths)), strict=True):
        ax.set_title(title, fontsize=10)
    return figure


class StrengthSlider:
    """A slider over the strength of a policy beside its picture; a still picture where no front end is.

    A notebook that is read without a kernel, on paper or on the web, shows the picture of five strengths.

    Attributes:
        widget: the ipywidgets box of slider and image.
        still: the figure that stands in for it.
    """

    def __init__(self, widget: Any, still: Figure) -> None:
        self.widget = widget
        self.still = still

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle = {"text/plain": "strength slider", "image/png": _png(self.still)}
        return bundle | {
            kind: content
            for kind, content in self.widget._repr_mimebundle_().items()
            if kind.startswith("application/")
        }


def strength_slider(
    image: Tensor | NDArray[np.uint8], policy: str | AugmentationPolicy, seed: int = 0
) -> StrengthSlider:
    """One image under a policy (or a transform's name), its strengths multiplied by the slider's 0 to 1.

    image: uint8 (H, W) or (H, W, 3), or float (C, H, W) in 0 to 1. The draw is always that of `seed`: the
    slider moves the strength and nothing else. MedtlError for other images and where ipywidgets is not
    installed.
    """
    try:
        import ipywidgets
    except ImportError as error:
        raise MedtlError("strength slider: ipywidgets is not installed; pip install ipywidgets") from error
    batch = _batch(image[None])
    label, chosen = _policy(policy)
    picture = ipywidgets.Image(format="png", width=280)
    slider = ipywidgets.FloatSlider(
        value=0.5, min=0, max=1, step=0.05, description=label, style={"description_width": "initial"}
    )

    def show(change: Any = None) -> None:
        picture.value = _enlarged_png(_augmented(batch, chosen, slider.value, seed))

    slider.observe(show, names="value")
    show()
    still = examples_sheet(batch, [policy], _SHOWN[1:], seed)
    return StrengthSlider(ipywidgets.VBox([slider, picture]), still)


def _batch(images: Tensor | NDArray[np.uint8]) -> Tensor:
    """Images float (N, C, H, W) in 0 to 1."""
    if isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.ndim in (3, 4):
        pixels = torch.from_numpy(np.ascontiguousarray(images)).float() / 255
        pixels = pixels[:, None] if images.ndim == 3 else pixels.permute(0, 3, 1, 2)
    elif isinstance(images, Tensor) and images.is_floating_point() and images.ndim == 4:
        pixels = images
    else:
        pixels = torch.empty(0, 0, 0, 0)
    if len(pixels) == 0 or pixels.shape[1] not in (1, 3):
        found = f"{images.dtype} {tuple(images.shape)}"
        raise MedtlError(f"images: {found}, expected uint8 (N, H, W[, 3]) or float (N, 1 or 3, H, W)")
    return pixels


def _policy(entry: str | AugmentationPolicy) -> tuple[str, AugmentationPolicy]:
    """Label and policy whose strengths are those at full scale."""
    if isinstance(entry, str):
        return entry.replace("_", " "), AugmentationPolicy((transform(entry, 1.0),))
    return "\n".join(t.name.replace("_", " ") for t in entry.transforms) or "none", entry


def _augmented(batch: Tensor, policy: AugmentationPolicy, strength: float, seed: int) -> NDArray[np.float32]:
    """The first image (H, W) or (H, W, 3) under the policy scaled by `strength`."""
    targets = torch.eye(len(batch), dtype=batch.dtype)
    generator = torch.Generator().manual_seed(seed)
    image = policy.scaled(strength)(batch.cpu(), targets, generator=generator).images[0].float()
    shown: NDArray[np.float32] = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
    return shown


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def _enlarged_png(image: NDArray[np.float32]) -> bytes:
    """An image of at least 280 pixels a side as PNG, each pixel a square."""
    from PIL import Image

    factor = max(1, 280 // max(image.shape[:2]))
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(stream, "PNG")
    return stream.getvalue()
