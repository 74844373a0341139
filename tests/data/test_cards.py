"""The data card says what the archive holds; the contact sheet shows it as it is."""

import json

import numpy as np
import pytest

from medtl_core.data import cards
from medtl_core.data.archives.archive import Archive
from medtl_core.data.sources import registry
from medtl_core.data.sources.dataset_card import DatasetCard
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
    assert description["groups"] == {"number": 3, "fewest": 4, "most": 4}
    assert description["splits"] == {"train": 4, "val": 0, "test": 8}
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
    assert text.endswith("finding    none")


def shown(figure) -> list[list]:
    panels = np.array(figure.axes).reshape(2, -1)
    return [[panel.images[0].get_array() for panel in row if panel.images] for row in panels]


def test_contact_sheet_shows_true_grey_values_of_each_class():
    archive = made(domains=None)
    figure = cards.contact_sheet(archive, per_class=5)
    rows = shown(figure)
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
    figure = cards.contact_sheet(made(), per_class=4)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["x", "x", "y", "y", "y", "y", "y", "y"]
    again = cards.contact_sheet(made(), per_class=4)
    np.testing.assert_array_equal(shown(figure), shown(again))
    others = [shown(cards.contact_sheet(made(), per_class=4, seed=seed)) for seed in range(1, 5)]
    assert any(not np.array_equal(shown(figure), other) for other in others)


def test_contact_sheet_is_a_picture_on_disk(tmp_path):
    import matplotlib.image

    colour = registry.load("phantoms_colour").subset(slice(0, 60))
    cards.contact_sheet(colour, tmp_path / "sheets" / "colour.png")
    picture = matplotlib.image.imread(tmp_path / "sheets" / "colour.png")
    assert picture.shape[0] > 100 * colour.n_classes
    assert picture[..., :3].std() > 0.05
    assert [file.name for file in (tmp_path / "sheets").iterdir()] == ["colour.png"]


def test_contact_sheet_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MedtlError, match="cannot be written"):
        cards.contact_sheet(made(), tmp_path / "file" / "sheet.png")
