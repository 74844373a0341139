"""The head of the register: title, ids and sections of one survey, and what its statements are about."""

import re

from pydantic import Field, field_validator, model_validator

from medtl_core.evidence.rule import Strict


class IdGroup(Strict):
    """A group of entries: the pattern of their ids, what they are, and how many there are (None: any number).

    `quoted`: each stands for a sentence of the survey, whose first words are its locator.
    """

    pattern: str = Field(min_length=1)
    name: str = Field(min_length=1)
    count: int | None = Field(default=None, ge=1)
    quoted: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        return pattern


class Section(Strict):
    """A section of the survey: its name, and how many entries it has (None: any number)."""

    name: str = Field(min_length=1)
    count: int | None = Field(default=None, ge=1)


class Population(Strict):
    """What statements are about, in words, and whether synthetic data are evidence about it."""

    name: str = Field(min_length=1)
    synthetic_is_evidence: bool = False


class Head(Strict):
    """What the engine must know of one survey.

    `populations` are keyed by the name that entries and rules use; the first is that of entries which name
    none. `references` is the length of the survey's list of references. `scope` names, for each notebook, the
    data sets that decide its statements; all others are replications. `words` says what ids of arms, data
    sets and metrics are called in a sentence.
    """

    title: str = Field(min_length=1)
    ids: list[IdGroup] = Field(min_length=1)
    sections: dict[str, Section] = Field(min_length=1)
    populations: dict[str, Population] = Field(min_length=1)
    references: int | None = Field(default=None, ge=1)
    scope: dict[str, list[str]] = Field(default_factory=dict)
    words: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> "Head":
        numbered = [group.count for group in self.ids]
        counted = [section.count for section in self.sections.values()]
        if None not in numbered and None not in counted and sum(map(int, numbered)) != sum(map(int, counted)):  # type: ignore[arg-type]
            raise ValueError("the counts of `ids` and of `sections` have different sums")
        return self

    def group(self, entry_id: str) -> IdGroup | None:
        """The group that an id belongs to, None where it matches no pattern."""
        return next((group for group in self.ids if re.fullmatch(group.pattern, entry_id)), None)

    def population_of(self, *names: str | None) -> str:
        """The first name that is given, else that of the first population."""
        return next((name for name in names if name is not None), next(iter(self.populations)))
