"""One image file as a square of uint8 grey values; what Pillow would do silently is refused or remarked."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps

from medtl_core.data.importers.cases import Case, Picture
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.window import EXAMPLES, to_grey
from medtl_core.errors import MedtlError
from medtl_core.files import one_line

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# What Pillow and its codecs raise for a file that is damaged, cut short or too large.
_UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, OverflowError, IndexError, KeyError, MemoryError,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def decode(case: Case, frame: Frame) -> list[Picture]:
    """The one image of a file, with its mask, as `frame` says.

    EXIF orientation is applied; transparent pixels become black; CMYK goes to RGB through the file's own
    colour profile; images of more than 8 bits go through the window.

    Raises:
        MedtlError: the file is damaged, holds several images or 16-bit colour, needs a window, or a mask does
            not fit; one line with the case's name.
    """
    try:
        with Image.open(case.path) as image:
            _check(image)
            image.load()
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            plain, remarks = _plain(ImageOps.exif_transpose(image) if turned else image, frame)
            if turned:
                remarks.append("turned upright by EXIF")
            mask = Image.fromarray(_joined_mask(case, plain.size)) if case.masks else None
            if case.box is not None:
                box = _inside(case.box, plain.size)
                plain, mask = plain.crop(box), None if mask is None else mask.crop(box)
            if plain.width != plain.height:
                remarks.append("padded to a square" if frame.fit == "pad" else "cropped to a square")
            if plain.mode == "RGB" and frame.colours == "grey":
                remarks.append("colour made grey")
            return [
                Picture(
                    frame.square(plain),
                    None if mask is None else frame.square_mask(mask),
                    tuple(remarks),
                )
            ]
    except MedtlError as error:
        raise MedtlError(f"{case.name}: {error}") from error
    except _UNREADABLE as error:
        raise _unreadable(case.name, error) from error


def _check(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise MedtlError(f"found {frames} images in one file, expected one; save them as files of their own")
    # Pillow keeps the upper 8 bits of 16-bit colour without a word.
    if image.mode not in _DEEP and any("16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        raise MedtlError(f"found 16-bit {image.mode}, expected 8 bits for colour; save it with 8 bits")


def _plain(image: Image.Image, frame: Frame) -> tuple[Image.Image, list[str]]:
    """An image of mode L, RGB or F, and remarks."""
    if image.mode in _DEEP:
        return _windowed(image, frame), [f"window {frame.window}"]
    if image.mode == "CMYK":
        return _from_cmyk(image), ["CMYK to RGB by its colour profile"]
    if image.mode == "P":
        grey = _is_grey_palette(image)
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        if grey and image.mode == "RGB":
            image = image.convert("L")
    elif "transparency" in image.info and image.mode in ("L", "RGB"):
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in ("LA", "RGBA", "La", "RGBa", "PA"):
        return _opaque(image)
    if image.mode in ("L", "RGB"):
        return image, []
    return image.convert("L" if image.mode in _GREY else "RGB"), []


def _opaque(image: Image.Image) -> tuple[Image.Image, list[str]]:
    grey = image.mode in _GREY
    layered = image.convert("RGBA")
    low, _ = layered.getchannel("A").getextrema()
    flat = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), layered)
    remarks = [] if low == 255 else ["transparent pixels made black"]
    return flat.convert("RGB").convert("L" if grey else "RGB"), remarks


def _windowed(image: Image.Image, frame: Frame) -> Image.Image:
    values = np.asarray(image)
    if frame.window is None:
        low, high = values.min(), values.max()
        raise MedtlError(
            f"found {'float' if image.mode == 'F' else '16-bit'} values from {low:g} to {high:g}, expected 8 "
            f"bits or a window; give one, {EXAMPLES}"
        )
    return Image.fromarray(to_grey(values, *frame.window.limits(values)))


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        raise MedtlError("found CMYK without a colour profile, expected grey or RGB; convert it to RGB")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise MedtlError(
            f"found a CMYK profile that cannot be used ({one_line(error)}); convert it to RGB"
        ) from error
    if converted is None:
        raise MedtlError("found a CMYK profile that cannot be used, expected grey or RGB; convert it to RGB")
    return converted


def _is_grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _joined_mask(case: Case, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The masks of a case joined, the later class where two overlap; size is width, height of its image."""
    joined = np.zeros((size[1], size[0]), np.uint8)
    for path in case.masks:
        try:
            joined = np.maximum(joined, mask_classes(_mask(path, size), case.mask_values))
        except MedtlError as error:
            raise MedtlError(f"mask {path.name}: {error}") from error
    return joined


def mask_classes(values: NDArray, expected: tuple[int, ...]) -> NDArray[np.uint8]:
    """Masks of any shape as classes 0, 1, ... in the order of `expected`; without it 0 stays 0, else is 1.

    Raises:
        MedtlError: a value that is not expected; more than two where nothing is.
    """
    distinct = np.unique(values).tolist()
    if not expected:
        if len(distinct) > 2:
            raise MedtlError(
                f"found {len(distinct)} grey values, expected two, one of them 0; "
                "save it as PNG of two values"
            )
        return (values > 0).astype(np.uint8)
    if strange := sorted(set(distinct) - set(expected)):
        raise MedtlError(f"found the value {strange[0]}, expected {', '.join(map(str, expected))} alone")
    classes = np.zeros(values.shape, np.uint8)
    for place, value in enumerate(expected):
        classes[values == value] = place
    return classes


def _inside(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    kept = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if kept[0] >= kept[2] or kept[1] >= kept[3]:
        raise MedtlError(f"found the box {box} in an image of {size[0]} x {size[1]} px, expected an area")
    return kept


def _mask(path: Path, size: tuple[int, int]) -> NDArray:
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L") if image.mode not in _DEEP else image)
    except _UNREADABLE as error:
        raise _unreadable(f"mask {path.name}", error) from error
    if values.shape != (size[1], size[0]):
        raise MedtlError(
            f"found {values.shape[1]} x {values.shape[0]} px (width x height), expected "
            f"{size[0]} x {size[1]} as its image"
        )
    return values


def _unreadable(name: str, error: BaseException) -> MedtlError:
    return MedtlError(
        f"{name}: found a file that Pillow cannot read ({one_line(error)}), expected a whole image; "
        "replace it"
    )
