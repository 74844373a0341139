"""Pictures of a committed notebook: small enough for a repository, the same to the eye."""

import base64
import io

from PIL import Image

COLOURS, OF_A_PLOT = 256, 64
PAPER = 0.4  # share of white pixels from which a picture is a plot and not an image


def compact_png(encoded: str) -> str:
    """A PNG (base64) with a palette of at most 256 colours, 64 for a plot, if that is smaller; else as it is.

    Plots have few colours and phantoms are grey, so that a palette loses next to nothing. That of a plot
    covers all colours however few pixels they have: a small dot tells by its colour which arm it is of.
    """
    content = base64.b64decode(encoded)
    with Image.open(io.BytesIO(content)) as picture:
        dpi = picture.info.get("dpi")
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    white = flat.convert("L").histogram()[255] / (flat.width * flat.height)
    colours, method = (
        (OF_A_PLOT, Image.Quantize.MAXCOVERAGE) if white >= PAPER else (COLOURS, Image.Quantize.MEDIANCUT)
    )
    palette = flat.quantize(colours, method=method, dither=Image.Dither.NONE)
    out = io.BytesIO()
    palette.save(out, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
    if out.tell() >= len(content):
        return encoded
    return base64.b64encode(out.getvalue()).decode("ascii")
