"""Answers of exercises: whether two of them mean the same, and how to show one in a line."""

from typing import Any

import numpy as np

_LONGEST = 60


def agrees(found: Any, expected: Any, tolerance: float = 1e-6) -> bool:
    """Whether an answer equals what is expected, whatever types carry it.

    Numbers, NumPy scalars and arrays with one element are alike, as are lists, tuples, arrays and tensors of
    the same shape; texts ignore case, spaces, hyphens and underscores; sets and dictionaries are compared by
    content. Numbers agree within `tolerance`, relative or absolute. NaN agrees with NaN alone.
    """
    if isinstance(expected, str) or isinstance(found, str):
        return isinstance(found, str) and isinstance(expected, str) and _plain(found) == _plain(expected)
    if isinstance(expected, dict) or isinstance(found, dict):
        return (
            isinstance(found, dict)
            and isinstance(expected, dict)
            and found.keys() == expected.keys()
            and all(agrees(found[key], expected[key], tolerance) for key in expected)
        )
    if isinstance(expected, set | frozenset):
        return isinstance(found, set | frozenset | list | tuple | np.ndarray) and _as_set(found) == expected
    if callable(expected) or callable(found):
        return found is expected
    a, b = _array(found), _array(expected)
    if a is None or b is None:
        return _same_items(found, expected, tolerance)
    if b.size == 1 and a.size == 1:
        a, b = a.reshape(()), b.reshape(())
    if a.shape != b.shape or (a.size == 1 and (a.dtype == bool) != (b.dtype == bool)):
        return False
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))


def kind_of(answer: Any) -> str:
    """What an answer is, in a student's words: a number, a text, a function, an array of shape (2, 3), …"""
    if isinstance(answer, str):
        return "a text"
    if callable(answer):
        return "a function"
    if isinstance(answer, dict | set | frozenset):
        return f"a {type(answer).__name__}"
    array = _array(answer)
    if array is None:
        return f"a {type(answer).__name__}"
    if array.dtype == bool and array.size == 1:
        return "true or false"
    return "a number" if array.size == 1 else f"an array of shape {array.shape}"


def in_words(answer: Any) -> str:
    """An answer in a few words of one line."""
    kind = kind_of(answer)
    if kind == "a number":
        array = _array(answer)
        assert array is not None
        return f"{array.reshape(()).item():.6g}"
    if callable(answer):
        return "a function"
    if kind.startswith("an array") and isinstance(answer, list | tuple) and len(answer) > 8:
        return kind
    answer = _without_tensor(answer)
    if isinstance(answer, np.ndarray):
        if answer.size > 8:
            return kind
        answer = answer.tolist()
    text = " ".join(repr(answer).split())
    return text if len(text) <= _LONGEST and "object at 0x" not in text else kind


def _plain(text: str) -> str:
    return "".join(text.casefold().replace("-", " ").replace("_", " ").split())


def _array(answer: Any) -> np.ndarray | None:
    """Numbers as an array; None for what has no such form."""
    answer = _without_tensor(answer)
    if not isinstance(
        answer, bool | int | float | complex | np.generic | np.ndarray | list | tuple
    ) and not hasattr(answer, "__array__"):
        return None
    try:
        array = np.asarray(answer)
    except (ValueError, TypeError):
        return None
    if array.size == 0 and not isinstance(answer, np.ndarray):
        return array if isinstance(answer, list | tuple) else None
    return array if array.dtype.kind in "biufc" else None


def _without_tensor(answer: Any) -> Any:
    """A tensor as an array of double precision, a range as a list; anything else as it is."""
    if hasattr(answer, "detach"):
        return np.asarray(answer.detach().cpu().double())
    return list(answer) if isinstance(answer, range) else answer


def _as_set(found: Any) -> set[Any] | None:
    try:
        return set(found.tolist() if isinstance(found, np.ndarray) else found)
    except TypeError:  # holds lists or arrays, which no set can
        return None


def _same_items(found: Any, expected: Any, tolerance: float) -> bool:
    """Sequences that hold other things than numbers, item by item."""
    sequences = (list, tuple, np.ndarray)
    if not isinstance(found, sequences) or not isinstance(expected, sequences):
        return type(found) is type(expected) and bool(found == expected)
    return len(found) == len(expected) and all(
        agrees(a, b, tolerance) for a, b in zip(found, expected, strict=True)
    )
