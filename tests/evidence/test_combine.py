import pytest

from medtl_core.evidence.combine import combine, summarise_by_verdict

S, C, N, X, Q = "supported", "supported with conditions", "not supported", "contradicted", "inconclusive"


@pytest.mark.parametrize(
    ("words", "every", "most", "some"),
    [
        ([S], S, S, S),
        ([S, S, S], S, S, S),
        ([S, S, Q], C, S, S),
        ([S, Q, Q], C, C, S),
        ([S, N, N], C, N, S),
        ([S, X, X], C, X, S),
        ([S, C], C, C, S),
        ([C, C], C, C, C),
        ([N, N], N, N, N),
        ([N, Q], N, Q, Q),
        ([X, Q, Q], X, Q, Q),
        ([X, X, Q], X, X, Q),
        ([X, N], X, N, N),
        ([X, X], X, X, X),
        ([Q, Q], Q, Q, Q),
    ],
)
def test_many_words_become_one(words, every, most, some):
    assert combine(words, "all") == every
    assert combine(words, "majority") == most
    assert combine(words, "any") == some


def test_places_are_named_under_their_word():
    assert summarise_by_verdict({"a": S, "b": Q, "c": S}) == "supported on a, c; inconclusive on b"
    assert summarise_by_verdict({"a": N, "b": N}) == "not supported on a, b"
