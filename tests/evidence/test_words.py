"""From p values to a word, and from the words of data sets to that of an entry."""

import pytest

from medtl_core.evidence.words import PValues, by_word, word_over_parts

S, P, N, X, Q, M = (
    "supported", "partly supported", "not supported", "contradicted", "inconclusive", "mixed",
)  # fmt: skip


@pytest.mark.parametrize(
    ("p_values", "word"),
    [((0.025, 1, 1), S), ((0.026, 1, 1), Q), ((1, 0.01, 0.01), X), ((1, 0.03, 0.01), N), ((1, 1, 1), Q)],
)
def test_a_word_at_the_level(p_values, word):
    assert PValues(*p_values).word() == word


def test_a_factor_ends_at_1():
    assert PValues(0.01, 0.4, 1.0).times(5) == PValues(0.05, 1.0, 1.0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([S, S], S),
        ([S, Q], P),
        ([S, N], M),
        ([S, X, Q], M),
        ([X, Q], X),
        ([X, N], X),
        ([N, Q], N),
        ([Q, Q], Q),
    ],
)
def test_words_of_data_sets(words, expected):
    assert word_over_parts(dict(enumerate(words))) == expected


def test_places_are_named_under_their_word():
    assert by_word({"a": S, "b": Q, "c": S}) == "supported on a, c; inconclusive on b"
    assert by_word({"a": N, "b": N}) == "not supported on a, b"
