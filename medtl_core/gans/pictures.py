"""Pictures of generated images: a film strip of rows with names, and a walk between two latent vectors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl_core.errors import MedtlError
from medtl_core.gans.domain_images import outer_images
from medtl_core.gans.networks.latent import LatentGenerator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 0.78  # inches of an image
_NAME = 1.35  # inches for the names of the rows
_HEADING = 0.22  # inches for names above the columns
_DOTS = 80  # an inch: a pixel of an image of 32 px is a square of two dots, or four on a fine screen
_PLACES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def film(
    rows: Mapping[str, Tensor | NDArray[np.uint8]], columns: int = 10, headings: Sequence[str] = ()
) -> Figure:
    """One row of at most `columns` images for each name, in order; values 0 to 1 from black to white.

    Rows are float (M, C, H, W) in 0 to 1, or uint8 (M, C, H, W); C of 1 or 3. headings: names above equal
    groups of columns. MedtlError for no rows, other arrays, and headings that the columns cannot share.
    """
    from matplotlib.figure import Figure

    shown = {name: _pixels(name, images)[:columns] for name, images in rows.items()}
    if not shown:
        raise MedtlError("film: no rows, expected at least one")
    widest = max(len(images) for images in shown.values())
    if headings and widest % len(headings):
        raise MedtlError(f"film: {len(headings)} headings over {widest} columns, expected equal groups")
    top = _HEADING if headings else 0.0
    width, height = _NAME + _SIDE * widest, _SIDE * len(shown) + 0.04 + top
    figure = Figure(figsize=(width, height), dpi=_DOTS)
    axes = figure.subplots(
        len(shown), 1, squeeze=False,
        gridspec_kw={"left": _NAME / width, "right": 0.999, "top": 0.999 - top / height, "bottom": 0.001,
                     "hspace": 0.03},
    )  # fmt: skip
    for ax, (name, images) in zip(axes[:, 0], shown.items(), strict=True):
        ax.imshow(_row(images), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set(xticks=[], yticks=[], anchor="W")
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for spine in ax.spines.values():
            spine.set_visible(False)
    for k, heading in enumerate(headings):
        axes[0, 0].annotate(
            heading, ((k + 0.5) / len(headings), 1), (0, 3), xycoords="axes fraction",
            textcoords="offset points", ha="center", va="bottom", fontsize=9,
        )  # fmt: skip
    return figure


class LatentWalk:
    """A slider from one latent vector to another beside the image that the generator makes of it.

    A notebook that is read without a kernel shows the still picture: six places of the walk.
    """

    def __init__(self, widget: Any, still: Figure) -> None:
        self.widget, self.still = widget, still

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        stream = io.BytesIO()
        self.still.savefig(stream, format="png", dpi=150)
        bundle = {"text/plain": "walk between two latent vectors", "image/png": stream.getvalue()}
        return bundle | {
            kind: content
            for kind, content in self.widget._repr_mimebundle_().items()
            if kind.startswith("application/")
        }


def latent_walk(generator: LatentGenerator, *, seed: int, walks: int = 3) -> LatentWalk:
    """Walks between pairs of latent vectors drawn from `seed`; the slider moves along all of them at once.

    The generator is used in the mode in which it is. MedtlError where ipywidgets is not installed.
    """
    try:
        import ipywidgets
    except ImportError as error:
        raise MedtlError("latent walk: ipywidgets is not installed; pip install ipywidgets") from error
    device = next(generator.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    ends = (torch.rand(2, walks, generator.latent_dim, generator=draw) * 2 - 1).to(device)

    @torch.no_grad()
    def at(place: float) -> Tensor:
        return outer_images(generator(torch.lerp(ends[0], ends[1], place))).cpu()

    stages = torch.stack([at(place) for place in _PLACES], dim=1)
    still = film({f"walk {k}": images for k, images in enumerate(stages, 1)})
    picture = ipywidgets.Image(format="png", width=140 * walks)
    slider = ipywidgets.FloatSlider(value=0.5, min=0, max=1, step=0.05, description="place")

    def show(change: Any = None) -> None:
        picture.value = _png(_row(at(slider.value)))

    slider.observe(show, names="value")
    show()
    return LatentWalk(ipywidgets.VBox([slider, picture]), still)


def _pixels(name: str, images: Tensor | NDArray[np.uint8]) -> Tensor:
    tensor = torch.as_tensor(images).detach().cpu()
    if tensor.ndim != 4 or len(tensor) == 0 or tensor.shape[1] not in (1, 3):
        raise MedtlError(f"film, row {name!r}: shape {tuple(tensor.shape)}, expected (M, 1 or 3, H, W)")
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float().clamp(0, 1)


def _row(images: Tensor) -> NDArray[np.float32]:
    """Images (M, C, H, W) side by side with a gap of one white pixel: (H, W') or (H, W', 3)."""
    padded = torch.nn.functional.pad(images, (0, 1), value=1.0)
    row = torch.cat(list(padded), dim=-1)[..., :-1]
    array: NDArray[np.float32] = row[0].numpy() if len(row) == 1 else row.permute(1, 2, 0).numpy()
    return array


def _png(image: NDArray[np.float32]) -> bytes:
    from PIL import Image

    factor = max(1, 140 // image.shape[0])
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(stream, "PNG")
    return stream.getvalue()
