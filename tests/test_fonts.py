"""Names in any script are drawn without a warning, and by the fonts that there are."""

import warnings

import matplotlib as mpl
import numpy as np

from medtl_core import fonts
from medtl_core.data.archives.archive import Archive
from medtl_core.data.contact_sheet import contact_sheet


def test_only_installed_fonts_stand_in(monkeypatch):
    monkeypatch.setattr(fonts, "FURTHER", ("Nowhere Sans", "STIXGeneral"))
    assert fonts.sans_serif() == ["DejaVu Sans", "STIXGeneral"]
    before = mpl.rcParams["font.sans-serif"]
    with fonts.any_script():
        assert mpl.rcParams["font.sans-serif"] == ["DejaVu Sans", "STIXGeneral"]
    assert mpl.rcParams["font.sans-serif"] == before


def test_names_in_another_script_and_with_dollar_signs_are_plain_text():
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16), np.uint8)
    places = np.array(["$a$", "\u5317\u4eac"] * 4)
    archive = Archive("$x^{$", images, np.arange(8) // 2 % 2, ("$\\frac{1$", "\u6b63\u5e38"), domains=places)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert contact_sheet(archive).png().startswith(b"\x89PNG")
