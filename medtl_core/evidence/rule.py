"""A rule of the register: one reading of a statement as a comparison that records can decide."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = bool | int | float | str


class Strict(BaseModel):
    """A part of the register: immutable, and refused where it has a field that nothing reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(Strict):
    """A filter on a numeric factor: both ends included, at least one given."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> "Span":
        if self.min is None and self.max is None:
            raise ValueError("expected min, max or both")
        return self


class Trend(Strict):
    """How a statistic per seed is taken over the levels of a factor.

    `scale` is that of the factor; `value_scale` log takes the natural logarithm of the metric first, for a
    quantity with a floor at 0, whose slope would otherwise shrink as it falls.
    """

    factor: str
    scale: Literal["linear", "log2"] = "linear"
    value_scale: Literal["linear", "log"] = "linear"
    statistic: Literal["slope", "spearman"] = "slope"


class Tolerance(Strict):
    """What every value of a deterministic rule has to meet."""

    op: Literal["<=", "<", ">=", ">", "=="]
    value: float


class Rule(Strict):
    """One reading of a statement as a comparison that records can decide.

    `kind` is one of `rules.kinds.KINDS`, and what else is needed depends on it. `margin` is the smallest
    effect of interest or the margin of equivalence, in the unit of the metric (trend: per unit of the scaled
    factor), and `margin_reason` says why that size. `direction` is what the statement claims for treatment -
    control, or for the slope. `by` names factors whose levels are judged apart. Configurations of the
    notebook are judged apart as well, unless `configurations` is `pooled`: then a seed's value is the mean
    over them. `population` is what this rule is about, and `scope` the data sets that decide it, where these
    differ from its entry's. `planted` is false where made-up data decide although nobody put the effect into
    them: then a run that does not show it has not failed.
    """

    reading: Literal["weak", "strong", "main"]
    hypothesis: str = Field(min_length=1)
    kind: str
    study: str = Field(min_length=1)
    metric: str = Field(min_length=1)
    treatment: str | None = None
    control: str | None = None
    where: dict[str, Scalar | list[Scalar] | Span] = {}
    by: list[str] = []
    configurations: Literal["apart", "pooled"] = "apart"
    margin: float | None = Field(default=None, ge=0)
    margin_reason: str | None = None
    direction: Literal["higher", "lower"] = "higher"
    min_seeds: int = Field(default=5, ge=1)
    combine: Literal["all", "majority", "any"] = "all"
    trend: Trend | None = None
    tolerance: Tolerance | None = None
    population: str | None = None
    scope: list[str] | None = Field(default=None, min_length=1)
    planted: bool = True

    @model_validator(mode="after")
    def _apart(self) -> "Rule":
        if self.trend is not None and self.trend.factor in self.by:
            raise ValueError(f"`by` holds {self.trend.factor!r}, the factor that the trend runs over")
        return self

    @property
    def version(self) -> str:
        """Hash of everything in the rule that decides (12 hexadecimal digits); its wording does not count."""
        deciding = self.model_dump(
            mode="json", exclude={"hypothesis", "margin_reason", "planted"}, exclude_none=True
        )
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
