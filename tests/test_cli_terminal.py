import pytest

from medtl_core.cli.terminal import plain


def test_what_people_read_stays():
    text = "Größe 胸部 μ=0.5\n\tvalue — “quoted” 👍"
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;PWNED\x07", r"\x1b]0;PWNED\x07"),
        ("\x1b[2J\x1b[1;1H", r"\x1b[2J\x1b[1;1H"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("over\rwritten\b", r"over\rwritten\x08"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    assert plain(text) == shown
