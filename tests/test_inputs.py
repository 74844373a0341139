"""What a computation reads by name is noted where somebody asks."""

import pytest

from medtl_core.inputs import Input, note, noting, used


def content_of(name: str) -> str:
    return f"content of {name}"


def test_what_is_used_is_noted_inside_of_every_open_block():
    used(content_of, "nobody asks")
    with noting() as outer:
        used(content_of, "a")
        with noting() as inner:
            used(content_of, "b")
        note([Input("x:y", "c")])
    assert {found.name for found in outer} == {"a", "b", "c"}
    assert {found.name for found in inner} == {"b"}


def test_an_error_ends_the_block():
    with pytest.raises(ValueError, match="no"), noting() as found:
        raise ValueError("no")
    used(content_of, "later")
    assert found == set()


def test_an_input_tells_the_content_of_now():
    with noting() as found:
        used(content_of, "a")
    assert [one.digest() for one in found] == ["content of a"]
