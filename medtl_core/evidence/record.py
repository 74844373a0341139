"""The record: one measured number with everything that identifies it."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from medtl_core.errors import MedtlError

DIRECTIONS = ("higher", "lower")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_TEXTS = (
    "notebook",
    "study",
    "dataset",
    "source_domain",
    "target_domain",
    "arm",
    "metric",
    "direction",
    "device",
)


@dataclass(frozen=True)
class Record:
    """One measured number.

    `value` is finite, in the unit of its metric; `direction` says which way the metric is better (higher,
    lower); `factors` maps factor names to text, numbers or booleans; `seconds` is the wall time of the
    whole trial; `key` identifies the trial (source, arguments, data). `synthetic` says that the images are
    made up (phantoms, simulations), so that the number is no evidence about patients. `configuration` maps
    the notebook's parameters that are not factors (backbone, steps, image size) to text, numbers, booleans or
    lists of them; records of different configurations are different numbers. Raises MedtlError for a field of
    the wrong type or range.
    """

    notebook: str
    study: str
    dataset: str
    source_domain: str
    target_domain: str
    arm: str
    factors: dict[str, Any]
    seed: int
    metric: str
    value: float
    direction: str
    n_test: int
    seconds: float
    device: str
    key: str
    synthetic: bool
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise MedtlError(f"record: {name} is {getattr(self, name)!r}, expected text")
        for name in ("notebook", "study", "key"):
            if not isinstance(getattr(self, name), str) or not _NAME.fullmatch(getattr(self, name)):
                raise MedtlError(
                    f"record: {name} is {getattr(self, name)!r}, expected letters, digits and . _ - @ + "
                    "(it becomes a file name)"
                )
        for name in ("dataset", "arm", "metric"):
            if not getattr(self, name):
                raise MedtlError(f"record: {name} is empty, expected a name")
        if self.direction not in DIRECTIONS:
            raise MedtlError(
                f"record: direction is {self.direction!r}, expected one of {', '.join(DIRECTIONS)}"
            )
        for name in ("seed", "n_test"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        for name in ("value", "seconds"):
            object.__setattr__(self, name, _finite(name, getattr(self, name), self.metric, self.arm))
        if not isinstance(self.factors, Mapping):
            raise MedtlError(f"record: factors is {self.factors!r}, expected a mapping from names to values")
        object.__setattr__(self, "factors", {k: _factor(k, self.factors[k]) for k in sorted(self.factors)})
        if not isinstance(self.synthetic, bool):
            raise MedtlError(f"record: synthetic is {self.synthetic!r}, expected True or False")
        object.__setattr__(self, "configuration", _configuration(self.configuration))

    @property
    def configuration_text(self) -> str:
        """The configuration as JSON with sorted names; empty for none."""
        return json.dumps(self.configuration, sort_keys=True) if self.configuration else ""

    @property
    def configuration_digest(self) -> str:
        """Hash of the configuration, 12 hexadecimal digits; empty for none."""
        text = self.configuration_text
        return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What was measured, by whatever code: records of one identity are versions of one number."""
        factors = json.dumps(self.factors, sort_keys=True)
        place = (self.notebook, self.study, self.dataset, self.source_domain, self.target_domain)
        return (*place, self.configuration_digest, self.arm, factors, self.seed, self.metric)


FIELDS = tuple(f.name for f in fields(Record))


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < 0:
        raise MedtlError(f"record: {name} is {value!r}, expected a whole number of at least 0")
    return int(value)


def _finite(name: str, value: object, metric: str, arm: str) -> float:
    number = isinstance(value, int | float | np.integer | np.floating | np.bool_)
    if not number or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise MedtlError(
            f"record: {name} of metric {metric!r}, arm {arm!r} is {value!r}, expected a finite number"
        )
    return float(value)  # type: ignore[arg-type]


def _factor(name: object, value: object) -> str | int | float | bool:
    if not isinstance(name, str) or not name or name in FIELDS:
        raise MedtlError(
            f"record: factor name {name!r} is empty, not text or the name of a record's field; rename it"
        )
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, str | int | float | bool) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise MedtlError(f"record: factor {name!r} is {value!r}, expected text, a finite number or a boolean")
    return value


def _configuration(configuration: object) -> dict[str, Any]:
    if not isinstance(configuration, Mapping) or not all(isinstance(k, str) and k for k in configuration):
        raise MedtlError(
            f"record: configuration is {configuration!r}, expected a mapping from parameters' names to values"
        )
    return {name: _setting(name, configuration[name]) for name in sorted(configuration)}


def _setting(name: str, value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_setting(name, inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise MedtlError(
        f"record: parameter {name!r} of the configuration is {value!r}, expected text, a finite number, "
        "a boolean or a list of them"
    )


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Tidy table of records: one row a record, one column a field, factors as columns of their own name.

    The column `configuration` holds the configuration as text (`Record.configuration_text`).
    """
    records = list(records)
    factors = sorted({name for r in records for name in r.factors})
    columns = [name for name in FIELDS if name not in ("factors", "configuration")]
    rows = [
        [*(getattr(r, c) for c in columns), r.configuration_text, *(r.factors.get(f) for f in factors)]
        for r in records
    ]
    return pd.DataFrame(rows, columns=[*columns, "configuration", *factors])


def order(record: Record) -> tuple[Any, ...]:
    """Sort key of records: study, data set, factors by number, arm, seed, metric."""
    numbers = sorted(
        (k, isinstance(v, str), v if not isinstance(v, str) else 0.0, str(v))
        for k, v in record.factors.items()
    )
    names = (record.notebook, record.study, record.dataset, record.source_domain, record.target_domain)
    return (*names, numbers, record.configuration_text, record.arm, record.seed, record.metric)
