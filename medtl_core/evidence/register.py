"""The register of statements: what the survey claims, and by which rule each claim is judged."""

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from medtl_core.errors import MedtlError
from medtl_core.evidence.register_head import Head
from medtl_core.evidence.rule import Rule, Strict
from medtl_core.evidence.rules.kinds import checked
from medtl_core.settings import REGISTER, project_root


class Claim(Strict):
    """One statement of the survey, in our own words.

    `strong_word` is the word that makes it stronger than what supports it: such a statement is tested in a
    weak and in a strong reading. `population` is a name from the head; without one it is the head's first.
    `scope` are the data sets that decide; without any they are those that the head gives for the notebook.
    `proxy` is a clause on what stands in for what in the studies; it ends the entry's sentence.
    """

    id: str = Field(min_length=1)
    section: str
    statement: str = Field(min_length=1)
    locator: str = ""
    references: list[int | str] = Field(default_factory=list)
    kind: Literal["definition", "method", "empirical", "challenge"]
    handling: Literal["test", "demonstration", "literature", "correction"]
    notebook: str | None = None
    population: str | None = None
    scope: list[str] | None = Field(default=None, min_length=1)
    strong_word: str | None = None
    proxy: str | None = None
    expected: str | None = None
    source: str | None = None
    correction: str | None = None
    not_testable: str | None = None
    rules: list[Annotated[Rule, AfterValidator(checked)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> "Claim":
        if self.rules and (self.handling == "literature" or self.not_testable):
            raise ValueError("rules are given, but nothing is measured for this entry: remove them")
        if self.rules and not self.notebook:
            raise ValueError("rules are given, but no `notebook` that measures them")
        readings = {rule.reading for rule in self.rules}
        if readings not in (set(), {"main"}, {"weak"}, {"strong"}, {"weak", "strong"}):
            raise ValueError(
                "the rules mix main with weak or strong readings: use main alone, or the other two"
            )
        if self.strong_word and self.rules and readings != {"weak", "strong"}:
            raise ValueError(
                f"strong word {self.strong_word!r}: expected rules in a weak and a strong reading"
            )
        if self.handling == "correction" and not self.correction:
            raise ValueError("handling is correction, but `correction` is empty")
        return self


class Register(Strict):
    """The head and all statements, which fit it and have unique ids."""

    head: Head
    entries: list[Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_the_head(self) -> "Register":
        for claim in self.entries:
            if self.head.group(claim.id) is None:
                patterns = " or ".join(group.pattern for group in self.head.ids)
                raise ValueError(f"entry {claim.id}: the id does not match {patterns}; see `ids` in the head")
            if claim.section not in self.head.sections:
                raise ValueError(
                    f"entry {claim.id}: section {claim.section!r} is not in the head, expected one of: "
                    f"{', '.join(self.head.sections)}"
                )
            for population in (claim.population, *(rule.population for rule in claim.rules)):
                if population is not None and population not in self.head.populations:
                    raise ValueError(
                        f"entry {claim.id}: population {population!r} is not in the head, expected one of: "
                        f"{', '.join(self.head.populations)}"
                    )
            most = self.head.references
            if wrong := [n for n in claim.references if isinstance(n, int) and most and not 1 <= n <= most]:
                raise ValueError(
                    f"entry {claim.id}: reference {wrong[0]}, expected a number from 1 to {most}"
                )
        return self

    @model_validator(mode="after")
    def _counted(self) -> "Register":
        ids = Counter(claim.id for claim in self.entries)
        if twice := [name for name, count in ids.items() if count > 1]:
            raise ValueError(f"id {twice[0]} stands {ids[twice[0]]} times, expected once")
        for group in self.head.ids:
            found = sum(self.head.group(name) == group for name in ids)
            if group.count is not None and found != group.count:
                raise ValueError(
                    f"{found} entries with ids {group.pattern}, expected {group.count} as in the head"
                )
        sections = Counter(claim.section for claim in self.entries)
        for name, section in self.head.sections.items():
            if section.count is not None and sections[name] != section.count:
                raise ValueError(
                    f"{sections[name]} entries in section {name}, expected {section.count} as in the head"
                )
        return self

    def of(self, notebook: str | None) -> list[Claim]:
        """The statements that a notebook answers; all of them for None."""
        return [claim for claim in self.entries if notebook in (None, claim.notebook)]

    def scope_of(self, claim: Claim, rule: Rule) -> tuple[str, ...] | None:
        """The data sets that decide a rule of an entry; None where the register names none."""
        found = rule.scope or claim.scope or self.head.scope.get(claim.notebook or "")
        return tuple(found) if found else None

    def synthetic_is_evidence(self, claim: Claim, rule: Rule) -> bool:
        """Whether synthetic data count for a rule of an entry."""
        name = self.head.population_of(rule.population, claim.population)
        return self.head.populations[name].synthetic_is_evidence


# PyYAML's loader in C, where it was built with it, is ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):  # type: ignore[misc]
    """Safe YAML that refuses a mapping with the same key twice, which YAML's own loader takes silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {twice[0]!r} stands twice", node.start_mark
            )
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def register_file() -> Path:
    """Where the project has its register of statements."""
    return project_root() / REGISTER


def load_register(path: str | Path | None = None) -> Register:
    """Read the register (default: `register_file`).

    Raises MedtlError in one line that names the entry's id and the field.
    """
    path = Path(path) if path is not None else register_file()
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise MedtlError(f"{path}: the register of statements cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MedtlError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or set(raw) != {"head", "entries"}:
        found = ", ".join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
        raise MedtlError(f"{path}: found {found or 'nothing'}, expected a mapping with `head` and `entries`")
    try:
        return Register.model_validate(raw)
    except ValidationError as error:
        raise MedtlError(f"{path}: {_first_line(error, raw['entries'])}") from error


def _first_line(error: ValidationError, entries: Any) -> str:
    first = error.errors()[0]
    place = list(first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    found = "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
    if len(place) < 2 or not isinstance(place[1], int):
        field = ".".join(str(part) for part in place)
        return f"{field}: {message}{found}" if field else message
    entry = entries[place[1]]
    name = entry.get("id", f"number {place[1] + 1}") if isinstance(entry, dict) else f"number {place[1] + 1}"
    field = ".".join(str(part) for part in place[2:])
    return f"entry {name}{', field ' + field if field else ''}: {message}{found}"
