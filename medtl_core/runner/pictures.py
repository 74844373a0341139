"""Pictures of a committed notebook: small enough for a repository, the same to the eye."""

import base64
import io

from PIL import Image

COLOURS = 128


def compact_png(encoded: str) -> str:
    """A PNG (base64) with a palette of at most 128 colours, if that is smaller; else as it is.

    Plots have few colours and phantoms are grey, so that a palette loses next to nothing. It covers all
    colours however few pixels they have, since a small dot tells by its colour which arm it is of. Then
    k-means moves its colours to where the pixels are: greys stay grey, and colour maps keep their ends.
    """
    content = base64.b64decode(encoded)
    with Image.open(io.BytesIO(content)) as picture:
        dpi = picture.info.get("dpi")
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
    palette = flat.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE, kmeans=2)
    out = io.BytesIO()
    palette.save(out, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
    if out.tell() >= len(content):
        return encoded
    return base64.b64encode(out.getvalue()).decode("ascii")
