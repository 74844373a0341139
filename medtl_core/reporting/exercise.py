"""Exercises that answer: a check that says what it found, what it expected, and why an answer may be
wrong."""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from medtl_core.errors import MedtlError
from medtl_core.reporting.answers import agrees, in_words, kind_of

Case = tuple[tuple[Any, ...], Any]
Property = tuple[str, Callable[[Any], object]]
_PLACEHOLDERS = (None, ..., NotImplemented)


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that students give, and the hint that leads away from it."""

    answer: Any
    hint: str


@dataclass(frozen=True)
class Feedback:
    """What a check says of an answer: one line."""

    correct: bool
    text: str


@dataclass(frozen=True)
class Check:
    """The check of one exercise; call it with the answer, and it prints one line.

    `wants` says what is asked for ("a function of (h, k, s, p) that returns the output's side").

    The answer is a function: `cases` are ((arguments), expected) pairs, at least two with different
    results, so that no constant passes; arguments are handed over as copies. The answer is a value:
    `expected` is it, and is never shown. `properties` are (words, test) pairs that must hold as well, or
    alone, for any kind of answer; `hint` is given where no misconception fits. Numbers agree within the
    relative and absolute `tolerance`.

    Raises MedtlError for a check that would let a constant or one of its own misconceptions pass.

    >>> check_1 = Check(
    ...     1,
    ...     wants="a function of (h, k, s, p) that returns the side of the output",
    ...     cases=[((28, 5, 2, 2), 14), ((28, 3, 1, 0), 26), ((31, 7, 3, 1), 9)],
    ...     misconceptions=[Misconception(lambda h, k, s, p: (h + p - k) // s + 1, "pad both sides")],
    ...     hint="count the places where the kernel fits, in steps of the stride",
    ... )
    >>> check_1(lambda h, k, s, p: (h + 2 * p - k) // s + 1)
    exercise 1: correct
    """

    number: int
    wants: str
    cases: Sequence[Case] = ()
    expected: Any = None
    properties: Sequence[Property] = ()
    misconceptions: Sequence[Misconception] = ()
    hint: str = ""
    tolerance: float = 1e-6
    _asks_function: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_asks_function", bool(self.cases))
        name = f"check {self.number}"
        if self.cases and self.expected is not None:
            raise MedtlError(f"{name}: both cases (of a function) and an expected value; give one")
        if not self.cases and self.expected is None and not self.properties:
            raise MedtlError(f"{name}: nothing to hold an answer against; give cases, expected or properties")
        if self.cases:
            first = self.cases[0][1]
            if all(agrees(first, expected, self.tolerance) for _, expected in self.cases):
                raise MedtlError(
                    f"{name}: all cases expect {in_words(first)}, so that a constant would pass; add one"
                )
        for misconception in self.misconceptions:
            if self.feedback(misconception.answer).correct:
                raise MedtlError(
                    f"{name}: accepts its misconception {misconception.hint!r}; add a case that differs"
                )

    def __call__(self, answer: Any) -> None:
        """Print one line: correct, or what was found, what was expected, and a hint."""
        print(self.feedback(answer).text)

    def feedback(self, answer: Any) -> Feedback:
        """The same as an object, whatever the answer is or does: no exception leaves it."""
        name = f"exercise {self.number}"
        if any(answer is placeholder for placeholder in _PLACEHOLDERS):
            return Feedback(False, f"{name}: not answered yet; expected {self.wants}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrong = self._wrong_kind(answer) or self._wrong_result(answer) or self._wrong_property(answer)
        if wrong is None:
            return Feedback(True, f"{name}: correct")
        hint = self._misconception(answer) or self.hint
        line = f"{name}: not yet; {wrong}" + (f". Hint: {hint}" if hint else "")
        return Feedback(False, " ".join(line.split()))

    def _wrong_kind(self, answer: Any) -> str | None:
        if self._asks_function and not callable(answer):
            return f"found {in_words(answer)}, expected {self.wants}"
        if self.expected is not None and not callable(self.expected) and callable(answer):
            return f"found a function, expected {self.wants}"
        return None

    def _wrong_result(self, answer: Any) -> str | None:
        for arguments, expected in self.cases:
            shown = ", ".join(in_words(argument) for argument in arguments)
            try:
                found = answer(*copy.deepcopy(arguments))
            except Exception as error:  # whatever a student's function raises
                return f"for ({shown}) your function raised {_error(error)}, expected {in_words(expected)}"
            if found is None:
                nothing = "your function returned nothing (is a return missing?)"
                return f"for ({shown}) {nothing}, expected {in_words(expected)}"
            if not agrees(found, expected, self.tolerance):
                return f"for ({shown}) found {in_words(found)}, expected {in_words(expected)}"
        if self.expected is None or agrees(answer, self.expected, self.tolerance):
            return None
        return f"found {in_words(answer)}{_way(answer, self.expected)}, expected {self.wants}"

    def _wrong_property(self, answer: Any) -> str | None:
        for text, holds in self.properties:
            try:
                found = holds(copy.deepcopy(answer))
                held = bool(found)
            except Exception as error:  # whatever an answer of the wrong form brings about
                return f"expected that {text}, but testing it raised {_error(error)}; expected {self.wants}"
            if not held:
                return f"expected that {text}, which does not hold"
        return None

    def _misconception(self, answer: Any) -> str | None:
        for misconception in self.misconceptions:
            if self._same(answer, misconception.answer):
                return misconception.hint
        return None

    def _same(self, answer: Any, wrong: Any) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._asks_function and callable(answer) and callable(wrong):
                    return all(
                        agrees(answer(*copy.deepcopy(a)), wrong(*copy.deepcopy(a)), self.tolerance)
                        for a, _ in self.cases
                    )
                return not callable(answer) and not callable(wrong) and agrees(answer, wrong, self.tolerance)
        except Exception:  # an answer that cannot be compared is not this misconception
            return False


def problems_of(check: Check, solution: Any, wrong: Sequence[Any]) -> list[str]:
    """What is wrong with a check, for a test of a lesson: empty if it accepts the solution and nothing else.

    Beside `wrong`, it is fed what students type by accident: a text, an empty list, a function that raises,
    one that returns nothing, one that takes nothing. Each must be refused in one line that holds more than
    "not yet".
    """
    problems = []
    if not check.feedback(solution).correct:
        problems.append(f"refuses its solution: {check.feedback(solution).text}")
    for answer in [*wrong, "an answer", [], lambda *_: 1 / 0, lambda *_: None, lambda: 0]:
        said = check.feedback(answer)
        if said.correct:
            problems.append(f"accepts {in_words(answer)}")
        elif "\n" in said.text or "expected" not in said.text:
            problems.append(f"says too little of {in_words(answer)}: {said.text}")
    for answer in wrong:
        if "Hint:" not in check.feedback(answer).text:
            problems.append(f"has no hint for {in_words(answer)}: {check.feedback(answer).text}")
    return problems


def _error(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{' (' + text[:120] + ')' if text else ''}"


def _way(found: Any, expected: Any) -> str:
    if not kind_of(found) == kind_of(expected) == "a number":
        return ""
    import numpy as np

    one, other = (np.asarray(number) for number in (found, expected))
    if one.size != 1 or np.iscomplexobj(one):
        return ""
    return ", which is too small" if one.item() < other.item() else ", which is too large"
