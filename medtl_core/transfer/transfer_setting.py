"""The definition of transfer learning as code (Pan & Yang 2010, Definition 1): which setting, which approach.

A domain is a feature space with a marginal distribution, D = {X, P(X)}; a task is a label space with a
predictive function, T = {Y, f}, where f(x) is P(y | x). Transfer learning improves the target's predictive
function with knowledge from a source whose domain or task differs. What the definition leaves to the reader,
whether two marginals are the same, is decided by name or by a test on samples that the caller brings.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medtl_core.errors import MedtlError

SETTINGS = ("inductive", "transductive", "unsupervised")
SettingName = Literal["inductive", "transductive", "unsupervised", "no transfer", "outside the scheme"]
Spaces = Literal["homogeneous", "heterogeneous"]
Approach = Literal["instance", "feature representation", "parameter", "relational knowledge"]
MarginalsDiffer = Callable[[np.ndarray, np.ndarray], bool]

CARRIED: dict[str, Approach] = {
    "cases": "instance",
    "case weights": "instance",
    "features": "feature representation",
    "aligned features": "feature representation",
    "translated images": "feature representation",
    "weights": "parameter",
    "hyper-parameters": "parameter",
    "prior": "parameter",
    "relations": "relational knowledge",
    "rules": "relational knowledge",
}
"""What a method can carry from source to target, and the approach of Pan & Yang that it belongs to."""

APPROACHES_IN: dict[str, frozenset[Approach]] = {
    "inductive": frozenset({"instance", "feature representation", "parameter", "relational knowledge"}),
    "transductive": frozenset({"instance", "feature representation"}),
    "unsupervised": frozenset({"feature representation"}),
}
"""Approaches that Pan & Yang found in use in each setting (their Table 3)."""


@dataclass(frozen=True, eq=False)
class Domain:
    """A feature space X and a marginal P(X).

    feature_space: name of the space that inputs live in, such as "RGB images". marginal: name of P(X), such
    as "chest X-rays of hospital A". sample: draws from P(X), (N, ...), or None where only its name is known.
    """

    feature_space: str
    marginal: str
    sample: np.ndarray | None = None


@dataclass(frozen=True)
class Task:
    """A label space Y and a predictive function f, and whether labels of it are at hand.

    classes: the label space, in any order. predictive: name of P(y | x); two tasks over the same classes with
    different names are different tasks (a concept shift). labelled: labels of training cases are known.
    """

    classes: frozenset[str]
    predictive: str
    labelled: bool

    @classmethod
    def of(cls, *classes: str, predictive: str = "same", labelled: bool) -> "Task":
        """A task by the names of its classes; MedtlError for none."""
        if not classes:
            raise MedtlError("task: found no class, expected at least one; name the label space")
        return cls(frozenset(classes), predictive, labelled)


@dataclass(frozen=True)
class Setting:
    """Where a pair of source and target stands in the scheme, and why; `spaces` are after Weiss 2016."""

    name: SettingName
    spaces: Spaces
    domains_differ: bool
    tasks_differ: bool
    reason: str

    @property
    def is_transfer(self) -> bool:
        """Whether Definition 1 holds: domains or tasks differ."""
        return self.domains_differ or self.tasks_differ


def domains_differ(source: Domain, target: Domain, marginals_differ: MarginalsDiffer | None = None) -> bool:
    """D_S != D_T: another feature space, or another marginal.

    With `marginals_differ` and a sample on both sides the samples decide, otherwise the names. MedtlError if
    a test is given but only one side has a sample.
    """
    if source.feature_space != target.feature_space:
        return True
    if marginals_differ is None or (source.sample is None and target.sample is None):
        return source.marginal != target.marginal
    if source.sample is None or target.sample is None:
        side = "source" if source.sample is None else "target"
        raise MedtlError(f"domain of the {side}: found no sample, expected one on both sides to be tested")
    return bool(marginals_differ(source.sample, target.sample))


def tasks_differ(source: Task, target: Task) -> bool:
    """T_S != T_T: another label space, or another predictive function."""
    return source.classes != target.classes or source.predictive != target.predictive


def setting_of(
    source: tuple[Domain, Task],
    target: tuple[Domain, Task],
    marginals_differ: MarginalsDiffer | None = None,
) -> Setting:
    """Place a source and a target in Pan & Yang's scheme.

    Inductive: tasks differ and target labels are at hand. Transductive: tasks are the same, domains differ,
    and labels are at hand in the source only. Unsupervised: tasks differ and no labels are at hand on either
    side. What is transfer by Definition 1 but none of the three is `outside the scheme`, with a reason.
    Errors as `domains_differ`.
    """
    (source_domain, source_task), (target_domain, target_task) = source, target
    other_domain = domains_differ(source_domain, target_domain, marginals_differ)
    other_task = tasks_differ(source_task, target_task)
    same_space = source_domain.feature_space == target_domain.feature_space
    spaces: Spaces = "homogeneous" if same_space else "heterogeneous"
    name, reason = _place(other_domain, other_task, source_task.labelled, target_task.labelled)
    return Setting(name, spaces, other_domain, other_task, reason)


def _place(
    other_domain: bool, other_task: bool, source_labels: bool, target_labels: bool
) -> tuple[SettingName, str]:
    if not other_domain and not other_task:
        return "no transfer", "same domain and same task"
    if other_task and target_labels:
        return "inductive", "tasks differ, target labels at hand"
    if other_task and not source_labels:
        return "unsupervised", "tasks differ, no labels on either side"
    if other_task:
        return "outside the scheme", "tasks differ, labels in the source only"
    if source_labels and not target_labels:
        return "transductive", "same task, domains differ, labels in the source only"
    if target_labels:
        return "outside the scheme", "same task, domains differ, target labels at hand"
    return "outside the scheme", "same task, domains differ, no labels on either side"


def transfer_approaches(carried: Iterable[str]) -> frozenset[Approach]:
    """Approaches of Pan & Yang that a method takes, judged by what it carries from source to target.

    carried: keys of `CARRIED`; a method that carries several things belongs to several approaches. MedtlError
    for anything else.
    """
    carried = list(carried)
    unknown = [thing for thing in carried if thing not in CARRIED]
    if unknown:
        raise MedtlError(f"carried over: found {unknown[0]!r}, expected some of {', '.join(CARRIED)}")
    return frozenset(CARRIED[thing] for thing in carried)
