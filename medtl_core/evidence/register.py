"""The register of statements: what the survey claims, and by which rule each claim is judged."""

import hashlib
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medtl_core.errors import MedtlError
from medtl_core.settings import project_root

RuleKind = Literal[
    "superiority", "equivalence", "non_inferiority", "trend", "interaction", "deterministic", "existence",
    "heterogeneity",
]  # fmt: skip
Scalar = bool | int | float | str
COMPARES = ("superiority", "equivalence", "non_inferiority", "interaction", "existence")
NEEDS_MARGIN = ("superiority", "equivalence", "non_inferiority", "existence")
MINIMUM_OF_SEEDS = 5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Strict):
    """A filter on a numeric factor: both ends included, at least one given."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> "Span":
        if self.min is None and self.max is None:
            raise ValueError("expected min, max or both")
        return self


class Trend(_Strict):
    """How a statistic per seed is taken over the levels of a factor."""

    factor: str
    scale: Literal["linear", "log2"] = "linear"
    statistic: Literal["slope", "spearman"] = "slope"


class Tolerance(_Strict):
    """What every value of a deterministic rule has to meet."""

    op: Literal["<=", "<", ">=", ">", "=="]
    value: float


class Rule(_Strict):
    """One reading of a statement as a comparison that records can decide.

    `margin` is the smallest effect of interest (superiority, existence, trend) or the margin of equivalence,
    in the unit of the metric (trend: per unit of the scaled factor). `direction` is what the statement
    claims for treatment - control, or for the slope. A rule of kind `heterogeneity` asks whether the
    treatment's values differ more between data sets than between the seeds of one; it uses neither. `about`
    is what this rule speaks of where that is not what its entry speaks of: phantoms count for a method alone.
    """

    reading: Literal["weak", "strong", "main"]
    hypothesis: str = Field(min_length=1)
    kind: RuleKind
    study: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    treatment: str | None = None
    control: str | None = None
    where: dict[str, Scalar | list[Scalar] | Span] = {}
    by: list[str] = []
    margin: float | None = Field(default=None, ge=0)
    direction: Literal["higher", "lower"] = "higher"
    min_seeds: int = Field(default=MINIMUM_OF_SEEDS, ge=1)
    combine: Literal["all", "majority", "any"] = "all"
    trend: Trend | None = None
    tolerance: Tolerance | None = None
    resample_cases: bool = False
    condition: str | None = None
    about: Literal["medical_images", "method"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Rule":
        needs = {
            "treatment": self.kind != "deterministic",
            "control": self.kind in COMPARES,
            "margin": self.kind in NEEDS_MARGIN,
            "trend": self.kind in ("trend", "interaction"),
            "tolerance": self.kind == "deterministic",
        }
        for name, needed in needs.items():
            if needed and getattr(self, name) is None:
                raise ValueError(f"a rule of kind {self.kind} needs `{name}`")
        unused = {
            "trend": not needs["trend"],
            "tolerance": not needs["tolerance"],
            "control": self.kind in ("trend", "heterogeneity"),
        }
        for name, forbidden in unused.items():
            if forbidden and getattr(self, name) is not None:
                raise ValueError(f"a rule of kind {self.kind} does not use `{name}`: leave it out")
        if self.kind in ("equivalence", "non_inferiority") and self.margin == 0:
            raise ValueError("margin is 0, expected the positive margin inside which arms count as equal")
        if self.kind != "deterministic" and self.min_seeds < MINIMUM_OF_SEEDS:
            raise ValueError(f"min_seeds is {self.min_seeds}, expected at least {MINIMUM_OF_SEEDS}")
        if self.trend is not None and self.trend.factor in self.by:
            raise ValueError(f"`by` holds {self.trend.factor!r}, the factor that the trend runs over")
        return self

    @property
    def version(self) -> str:
        """Hash of everything in the rule that decides (12 hexadecimal digits); its wording does not count."""
        unset = {"about"} if self.about is None else set()
        deciding = self.model_dump(mode="json", exclude={"hypothesis", *unset})
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]


class Claim(_Strict):
    """One statement of the survey (C…) or one that it inherits (I…), in our own words."""

    id: str = Field(pattern=r"^[CI]\d{2,3}$")
    section: str
    statement: str = Field(min_length=1)
    locator: str = ""
    references: list[int | str] = []
    kind: Literal["definition", "method", "empirical", "challenge"]
    handling: Literal["test", "demonstration", "literature", "correction"]
    notebook: str | None = None
    about: Literal["medical_images", "method"] = "medical_images"
    expected: str | None = None
    source: str | None = None
    correction: str | None = None
    not_testable: str | None = None
    rules: list[Rule] = []

    @model_validator(mode="after")
    def _consistent(self) -> "Claim":
        if self.rules and (self.handling == "literature" or self.not_testable):
            raise ValueError("rules are given, but nothing is measured for this entry: remove them")
        if self.rules and not self.notebook:
            raise ValueError("rules are given, but no `notebook` that measures them")
        if self.handling == "correction" and not self.correction:
            raise ValueError("handling is correction, but `correction` is empty")
        return self


class Register(_Strict):
    """All statements, with unique ids."""

    entries: list[Claim]

    @model_validator(mode="after")
    def _unique(self) -> "Register":
        ids = [claim.id for claim in self.entries]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"id {twice[0]} stands {ids.count(twice[0])} times, expected once")
        return self

    def of(self, notebook: str) -> list[Claim]:
        """The statements that a notebook answers."""
        return [claim for claim in self.entries if claim.notebook == notebook]


class _UniqueKeys(yaml.SafeLoader):
    """Safe YAML that refuses a mapping with the same key twice, which YAML's own loader takes silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {twice[0]!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def load_register(path: str | Path | None = None) -> Register:
    """Read the register (default: `notebooks/claims.yaml` of the project).

    Raises MedtlError in one line that names the entry's id and the field.
    """
    path = Path(path) if path is not None else project_root() / "notebooks" / "claims.yaml"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise MedtlError(f"{path}: no register of statements to be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MedtlError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, list) or not raw:
        raise MedtlError(f"{path}: found {type(raw).__name__}, expected a list of entries")
    try:
        return Register(entries=raw)
    except ValidationError as error:
        raise MedtlError(f"{path}: {_first_line(error, raw)}") from error


def _first_line(error: ValidationError, raw: list[Any]) -> str:
    first = error.errors()[0]
    place = list(first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if len(place) < 2 or not isinstance(place[1], int):
        return message
    entry = raw[place[1]]
    name = entry.get("id", f"number {place[1] + 1}") if isinstance(entry, dict) else f"number {place[1] + 1}"
    field = ".".join(str(part) for part in place[2:])
    found = "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
    return f"entry {name}{', field ' + field if field else ''}: {message}{found}"
