"""The data card says what the archive holds; the contact sheet shows it as it is."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from medtl_core.data import cards
from medtl_core.data.archives.archive import Archive
from medtl_core.data.contact_sheet import MOST_CLASSES
from medtl_core.data.sources import registry
from medtl_core.data.sources.dataset_card import DatasetCard
from medtl_core.data.splits import Split
from medtl_core.errors import MedtlError

CARD = DatasetCard(
    "made", "made up", 12, 4, 1, ("round", "long_thin"), "CC0", "nobody", "", "", "MEDTL_DATA", None
)


def made(**changes) -> Archive:
    images = np.arange(12 * 16, dtype=np.uint8).reshape(12, 4, 4)
    content = {
        "images": images,
        "labels": np.array([0] * 8 + [1] * 4),
        "groups": np.array([f"p{i // 4}" for i in range(12)]),
        "domains": np.array(["x"] * 6 + ["y"] * 6),
        "masks": (images % 4 == 0).astype(np.uint8),
        "mask_names": ("background", "lesion"),
        "splits": np.array(["train"] * 4 + ["test"] * 8),
        "metadata": {"age": np.arange(12)},
    } | changes
    return Archive("made", class_names=("round", "long_thin"), **content)


def test_description_counts_and_is_json():
    description = cards.describe(made(), CARD)
    assert json.loads(json.dumps(description)) == description
    assert description["classes"] == {"round": 8, "long_thin": 4}
    assert description["domains"] == {"x": {"round": 6, "long_thin": 0}, "y": {"round": 2, "long_thin": 4}}
    assert description["groups"] == {"number": 3, "fewest": 4, "most": 4, "unknown": 0}
    assert description["splits"] == {"train": 4, "val": 0, "test": 8}
    assert description["classes_by_split"]["test"] == {"round": 4, "long_thin": 4}
    assert (description["location"], description["origin"]) == ("MEDTL_DATA", "patients")
    assert description["masks"] == {"background": 0.75, "lesion": 0.25}
    assert description["grey_range"] == [0, 191]
    assert (description["metadata"], description["findings"]) == (["age"], [])


def test_text_has_a_line_for_everything():
    images = made().images.copy()
    images[11] = images[0]
    lines = cards.text(cards.describe(made(images=images), CARD)).splitlines()
    assert lines[0] == "made: made up"
    assert "images     12 grey, 4 x 4 px, values 0 to 175 of 0 to 255" in lines
    assert "classes    round: 8; long_thin: 4" in lines
    assert "masks      background 75.0%, lesion 25.0%" in lines
    assert "groups     3, of 4 images" in lines
    assert "licence    CC0" in lines
    assert [line for line in lines if line.startswith("finding")] == [
        "finding    2 of 12 images are pixel-identical to another one (11 distinct)",
        "finding    2 of 12 images have a pixel-identical twin of another class",
        "finding    2 of 12 images have a pixel-identical twin in another group",
        "finding    1 of 8 test images are pixel-identical to train images",
    ]


def test_text_of_a_bare_archive():
    bare = Archive("made", made().images, made().labels, ("round", "long_thin"))
    text = cards.text(cards.describe(bare, CARD))
    assert not any(word in text for word in ("domain", "groups", "masks", "splits", "metadata", "address"))
    assert text.endswith("no leaks; look further with: medtl data audit made")


def shown(sheet) -> list[list]:
    panels = np.array(sheet.figure.axes).reshape(2, -1)
    return [[panel.images[0].get_array() for panel in row if panel.images] for row in panels]


def test_contact_sheet_shows_true_grey_values_of_each_class():
    archive = made(domains=None)
    sheet = cards.contact_sheet(archive, per_class=5)
    figure, rows = sheet.figure, shown(sheet)
    assert [len(row) for row in rows] == [5, 4]
    for label, row in enumerate(rows):
        first_pixels = {int(image[0, 0]) for image in row}
        assert first_pixels <= set(archive.images[archive.labels == label, 0, 0].tolist())
        assert len(first_pixels) == len(row)
    assert all(panel.images[0].get_clim() == (0, 255) for panel in figure.axes if panel.images)
    words = [text.get_text() for panel in figure.axes for text in panel.texts]
    assert words == ["round\n8 images", "long thin\n4 images"]
    assert "grey 0 (black) to 255 (white)" in figure.get_suptitle()


def test_contact_sheet_spreads_over_domains_and_follows_the_seed():
    sheet = cards.contact_sheet(made(), per_class=4)
    titles = [panel.get_title() for panel in sheet.figure.axes]
    assert titles == ["x", "x", "y", "y", "y", "y", "y", "y"]
    again = cards.contact_sheet(made(), per_class=4)
    np.testing.assert_array_equal(shown(sheet), shown(again))
    others = [shown(cards.contact_sheet(made(), per_class=4, seed=seed)) for seed in range(1, 5)]
    assert any(not np.array_equal(shown(sheet), other) for other in others)


@pytest.mark.slow
def test_contact_sheet_is_a_picture_on_disk(tmp_path):
    import matplotlib.image

    colour = registry.load("phantoms_colour").subset(slice(0, 60))
    cards.contact_sheet(colour).save(tmp_path / "sheets" / "colour.png")
    picture = matplotlib.image.imread(tmp_path / "sheets" / "colour.png")
    assert picture.shape[0] > 100 * colour.n_classes
    assert picture[..., :3].std() > 0.05
    assert [file.name for file in (tmp_path / "sheets").iterdir()] == ["colour.png"]


def test_contact_sheet_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MedtlError, match="cannot be written"):
        cards.contact_sheet(made()).save(tmp_path / "file" / "sheet.png")


@pytest.mark.slow
def test_contact_sheet_displays_itself_as_a_picture():
    sheets = [cards.contact_sheet(made(), per_class=2) for _ in range(2)]
    assert sheets[0]._repr_png_().startswith(b"\x89PNG")
    assert repr(sheets[0]) == repr(sheets[1])  # no address: a notebook's output is the same in each run


def test_names_from_a_file_are_plain_text_in_a_figure():
    odd = replace(made(domains=np.array(["$^{$"] * 12)), class_names=("$\\frac{1$", "<b>"), name="$x^{$")
    sheet = cards.contact_sheet(odd)
    assert sheet._repr_png_().startswith(b"\x89PNG")  # no mathematics is parsed, so none fails
    assert "$x^{$" in sheet.figure.get_suptitle()


@pytest.mark.slow
def test_contact_sheet_of_very_many_classes_shows_the_first():
    n = 3 * 450
    images = np.random.default_rng(0).integers(0, 256, (n, 4, 4), dtype=np.uint8)
    many = Archive("many", images, np.arange(n) % 450, tuple(f"study {k}" for k in range(450)))
    sheet = cards.contact_sheet(many, per_class=1)
    assert len(sheet.figure.axes) == MOST_CLASSES
    assert sheet.left_out == 450 - MOST_CLASSES
    assert f"the first {MOST_CLASSES} of 450 classes" in sheet.figure.get_suptitle()


class Page(HTMLParser):
    """The tags of a page, and the text of each row and item."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.items = [], [], []
        self.into = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.into = self.rows[-1]
        if tag == "li":
            self.items.append("")
            self.into = self.items

    def handle_endtag(self, tag):
        if tag in ("td", "th", "li"):
            self.into = None

    def handle_data(self, data):
        if self.into is not None:
            self.into[-1] += data


def test_card_shows_itself_with_all_counts_and_findings():
    images = made().images.copy()
    images[11] = images[0]
    parts = Split(np.arange(0, 5), np.array([8, 9]), np.array([5, 10, 11]))
    card = cards.card(made(images=images), parts, CARD)
    page = Page(card._repr_html_())
    assert ["class", "all", "train", "val", "test", "domain x", "domain y"] in page.rows
    assert ["round", "8", "5", "0", "1", "6", "2"] in page.rows
    assert ["long_thin", "4", "0", "2", "2", "0", "4"] in page.rows
    assert ["all classes", "12", "5", "2", "3", "6", "6"] in page.rows
    assert ["licence", "CC0"] in page.rows
    assert ["checksum", f"SHA-256 {made(images=images).checksum}"] in page.rows
    assert page.items == card.description["findings"]
    assert "1 of 3 test images are pixel-identical to train images" in page.items
    assert "img" not in page.tags
    assert str(card) == cards.text(card.description)
    assert "train      round: 5; long_thin: 0" in str(card).splitlines()


def test_card_with_examples_inside():
    page = cards.card(made(), None, CARD, per_class=2)._repr_html_()
    (picture,) = re.findall('src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_name_from_a_file_is_no_markup():
    trap = "<script>alert(1)</script>&amp;"
    archive = replace(made(domains=np.array([trap] * 12)), class_names=("a", trap))
    page = Page(cards.card(archive, None, replace(CARD, title=trap, licence=trap), per_class=1)._repr_html_())
    assert "script" not in page.tags
    assert ["licence", trap] in page.rows
    assert f"domain {trap}" in page.rows[-4]
    assert page.rows[-2][0] == trap


def test_card_of_phantoms_says_that_they_are_drawn():
    archive = registry.load("phantoms_basic").subset(slice(0, 40))
    assert "from       phantoms, synthetic (drawn by a program)" in str(
        cards.card(archive, None, registry.card("phantoms_basic"))
    )


def test_card_counts_images_of_unknown_patients():
    groups = np.array(["a", "a", "", "nan"] * 3)
    assert "groups     1, of 6 images; unknown for 6 images" in str(
        cards.card(made(groups=groups), None, CARD)
    )
    everyone = cards.card(made(groups=np.full(12, "")), None, CARD)
    assert everyone.description["groups"] == {"number": 0, "fewest": 0, "most": 0, "unknown": 12}
