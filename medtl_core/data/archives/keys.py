"""The keys of an archive, and other spellings of them that would pass for metadata."""

import unicodedata

REQUIRED_KEYS = ("images", "labels", "class_names")
RESERVED_KEYS = (
    *REQUIRED_KEYS,
    "groups",
    "domains",
    "masks",
    "mask_names",
    "splits",
    "origin",
    "provenance",
    "volumes",
)
_SYNONYMS = {
    "images": "image img imgs",
    "labels": "label target targets",
    "class_names": "class classes classname label_names",
    "groups": "group group_id patient patients patient_id patient_ids pid subject subjects subject_id",
    "domains": "domain site sites scanner scanners hospital hospitals center centers centre centres",
    "masks": "mask segmentation segmentations",
    "mask_names": "mask_name maskname",
    "splits": "split fold folds partition partitions subset",
    "origin": "origins",
    "volumes": "",  # a column `volume` may well be that of a lesion
}


def meant_key(key: str) -> str | None:
    """The archive's own key that `key` is nearly: of another case, number or spelling, or a synonym of it.

    None for the archive's own keys as they are, and for everything else. A patient's or a site's column under
    such a key would be read as metadata, and nothing would keep patients together.
    """
    return None if key in RESERVED_KEYS else _MEANT.get(_plain(key))


def _plain(key: str) -> str:
    folded = unicodedata.normalize("NFKC", key).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


_MEANT = {_plain(word): key for key, words in _SYNONYMS.items() for word in (key, *words.split())}
