"""Text from elsewhere (names of files, texts of archives, errors of notebooks) on its way to the terminal."""

import re

# Control characters but newline and tab, marks that turn the direction of writing, halves of pairs.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    r"""`text` with what a terminal would obey instead of show as an escape, such as \x1b."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
