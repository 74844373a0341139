"""Which records a rule looks at, and how they are paired."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from medtl_core.errors import MedtlError
from medtl_core.evidence.record import FIELDS
from medtl_core.evidence.rule import Rule, Span

FILTERABLE = ("dataset", "source_domain", "target_domain")
SIGNIFICANT_DIGITS = 6
LABEL = "label"


def factors_of(frame: pd.DataFrame) -> list[str]:
    """Columns of a tidy table of records that are factors."""
    return [column for column in frame.columns if column not in FIELDS]


def select(rule: Rule, frame: pd.DataFrame) -> pd.DataFrame:
    """The records that a rule looks at, with a column `label`: the data set's name.

    Where one data set was measured with several domains, the label names them. Values are taken at six
    significant digits, the precision that a kept run has, so that judging it again gives the same ledger.
    MedtlError where the rule names a factor that the study did not record.
    """
    chosen = frame[(frame["study"] == rule.study) & (frame["metric"] == rule.metric)]
    arms = [arm for arm in (rule.treatment, rule.control) if arm is not None]
    if arms:
        chosen = chosen[chosen["arm"].isin(arms)]
    if chosen.empty:
        return chosen
    named = [*rule.where, *rule.by, *([rule.trend.factor] if rule.trend else [])]
    for name in named:
        if name not in (*factors_of(frame), *FILTERABLE):
            known = ", ".join(factors_of(frame)) or "none"
            raise MedtlError(f"study {rule.study}: factor {name!r} is not recorded, expected one of: {known}")
    for name, wanted in rule.where.items():
        chosen = chosen[_matches(chosen[name], wanted)]
    values = [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in chosen["value"]]
    return chosen.assign(value=values, **{LABEL: _labels(chosen)})


def _matches(column: pd.Series, wanted: Any) -> pd.Series:
    if isinstance(wanted, Span):
        numbers = pd.to_numeric(column, errors="coerce")
        low = -np.inf if wanted.min is None else wanted.min
        high = np.inf if wanted.max is None else wanted.max
        return numbers.between(low, high)
    return column.isin(wanted if isinstance(wanted, list) else [wanted])


def _labels(chosen: pd.DataFrame) -> list[str]:
    places = list(zip(chosen["dataset"], chosen["source_domain"], chosen["target_domain"], strict=True))
    names = {}
    for dataset, source, target in dict.fromkeys(places):
        several = len({place for place in set(places) if place[0] == dataset}) > 1
        domains = f"{source} → {target}" if target else source
        names[dataset, source, target] = f"{dataset} ({domains})" if several else dataset
    return [names[place] for place in places]


@dataclass(frozen=True)
class Stratum:
    """Records that are judged together: one data set at one level of each factor in `by`.

    `settings` holds what tells this configuration from the others of the data set (empty where there is one,
    or where the rule pools them), `configuration` the whole of it as text (empty where pooled).
    """

    dataset: str
    settings: dict[str, Any]
    factors: dict[str, Any]
    configuration: str
    records: pd.DataFrame

    @property
    def levels(self) -> dict[str, Any]:
        """Settings and factors by name; a setting that shares its name with a factor says so."""
        clear = {
            f"configured {name}" if name in self.factors else name: v for name, v in self.settings.items()
        }
        return clear | self.factors

    @property
    def archive(self) -> str:
        """The data set's own name, without domains."""
        return str(self.records["dataset"].iloc[0])

    @property
    def n_test(self) -> int | None:
        """Number of test cases, None where the records disagree or there are none."""
        found = set(self.records["n_test"])
        return int(found.pop()) if len(found) == 1 and 0 not in found else None

    @property
    def synthetic(self) -> bool:
        """Whether any of the records rests on synthetic data."""
        return bool(self.records["synthetic"].any())


def strata(rule: Rule, chosen: pd.DataFrame) -> Iterator[Stratum]:
    """The parts that are judged apart: data sets, configurations unless pooled, levels of factors in `by`.

    A part at which one of the rule's arms was never run has not been measured and is left out.
    """
    arms = {arm for arm in (rule.treatment, rule.control) if arm is not None}
    for name, part in chosen.groupby(LABEL, sort=True):
        for configuration, settings, configured in _configured(rule, part):
            stratified = configured.groupby(rule.by, sort=True) if rule.by else [((), configured)]
            for levels, records in stratified:
                if arms <= set(records["arm"]):
                    factors = dict(zip(rule.by, levels, strict=True))
                    yield Stratum(str(name), settings, factors, configuration, records)


def _configured(rule: Rule, part: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any], pd.DataFrame]]:
    """Text, telling settings and records of each configuration; all records at once where they are pooled."""
    if rule.configurations == "pooled":
        yield "", {}, part
        return
    every = {text: json.loads(text or "{}") for text in sorted(part["configuration"].unique())}
    names = sorted({name for settings in every.values() for name in settings})
    telling = [n for n in names if len({json.dumps(s.get(n)) for s in every.values()}) > 1]
    for text, settings in every.items():
        told = {name: _plain(settings.get(name)) for name in telling}
        yield text, told, part[part["configuration"] == text]


def _plain(setting: Any) -> Any:
    if isinstance(setting, list):
        return " ".join(str(part) for part in setting)
    return "not set" if setting is None else setting


def stratum_name(levels: dict[str, Any]) -> str:
    """Levels of a stratum in words: `n = 64`; empty without strata."""
    return ", ".join(f"{name} = {level_name(level)}" for name, level in levels.items())


def level_name(level: Any) -> str:
    """A level of a factor as it was given: 64, not 64.0, which a table with gaps makes of it."""
    return f"{level:g}" if isinstance(level, float) else str(level)


@dataclass(frozen=True)
class Effects:
    """Effects of the complete seeds, (S, C); a column is (level of the trend's factor, other factors).

    `keys` are those of the trials behind, by arm and then (seed, column); `excluded` counts the seeds that
    were left out.
    """

    values: np.ndarray
    seeds: list[int]
    columns: list[tuple[Any, str]]
    keys: dict[str, dict[tuple[int, tuple[Any, str]], str]]
    excluded: int


def paired_effects(rule: Rule, part: pd.DataFrame) -> Effects:
    """Treatment - control of the same seed, configuration and factors (without a control: treatment).

    A seed is complete if it has every column that any seed has: an average over other levels would be another
    quantity. A level that one arm was never run at cannot be paired and is no column.
    """
    along = rule.trend.factor if rule.trend else None
    others = ["configuration", *(name for name in factors_of(part) if name not in (LABEL, along))]
    cells = [repr(row) for row in part[others].astype(object).itertuples(index=False, name=None)]
    levels = part[along].tolist() if along else [0] * len(part)
    found: dict[str, dict[tuple[int, tuple[Any, str]], float]] = {}
    keys: dict[str, dict[tuple[int, tuple[Any, str]], str]] = {}
    rows = zip(
        part["arm"], part["seed"], zip(levels, cells, strict=True), part["value"], part["key"], strict=True
    )
    for arm, seed, column, value, key in rows:
        found.setdefault(arm, {})[seed, column] = value
        keys.setdefault(arm, {})[seed, column] = key
    treated = found.get(rule.treatment or "", {})
    if rule.control is None:
        effects = treated
    else:
        control = found.get(rule.control, {})
        effects = {
            place: _difference(treated[place], control[place]) for place in treated if place in control
        }
    columns = sorted({column for _, column in effects})
    seeds = sorted({seed for arm in found.values() for seed, _ in arm})
    complete = [seed for seed in seeds if columns and all((seed, column) in effects for column in columns)]
    values = np.array([[effects[seed, column] for column in columns] for seed in complete])
    return Effects(
        values.reshape(len(complete), len(columns)), complete, columns, keys, len(seeds) - len(complete)
    )


def _difference(treatment: float, control: float) -> float:
    return 0.0 if math.isclose(treatment, control, rel_tol=1e-12) else treatment - control
