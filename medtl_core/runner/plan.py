"""What to run: notebooks, a profile and -p options become a list of runs, each checked and with its key."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from medtl_core.errors import MedtlError
from medtl_core.runner.labels import distinct_labels, run_label
from medtl_core.runner.notebooks import Notebook
from medtl_core.runner.profiles import Budget, Profile
from medtl_core.source_hash import PACKAGE, package_hash

EVERY = "*"


@dataclass(frozen=True)
class InputCatalogue:
    """What runs depend on outside the notebooks.

    `inspect`: notebook and parameters -> checksums of the data (and weights) that they name; MedtlError for
    bad ones. `at_hand`: names of the data sets that need no download.
    """

    inspect: Callable[[Notebook, Mapping[str, Any]], dict[str, str]]
    at_hand: Callable[[], list[str]]


@dataclass(frozen=True)
class PlannedRun:
    """One run of one notebook. `inputs`: checksums of the data it uses; `key` identifies run and outcome."""

    label: str
    notebook: Notebook
    parameters: dict[str, Any]
    budget: Budget
    inputs: dict[str, str]
    key: str


@dataclass(frozen=True)
class RequestedRun:
    """Parameters of a run; `optional`: the profile asked for whatever data set is at hand and can be used."""

    notebook: Notebook
    values: dict[str, Any]
    optional: bool

    @property
    def label(self) -> str:
        return run_label(self.notebook.name, self.values, self.notebook.parameters.defaults)


def plan_runs(
    notebooks: Iterable[Notebook],
    profile: Profile,
    overrides: Mapping[str, str],
    catalogue: InputCatalogue,
    environment: Mapping[str, Any],
    log: Callable[[str], None],
) -> list[PlannedRun]:
    """All runs, checked: MedtlError for an unknown, ill-typed or out-of-range parameter, and for bad data.

    `overrides` are the texts of -p: each applies to every notebook that declares it, and one that none
    declares is refused. A `dataset` among them takes the place of the profile's (`runs`). `log` gets a line
    for each data set that the profile takes if it can, and cannot.
    """
    notebooks = list(notebooks)
    declared = sorted({name for notebook in notebooks for name in notebook.parameters.names})
    for name in overrides:
        if name not in declared:
            names = ", ".join(notebook.name for notebook in notebooks)
            raise MedtlError(
                f"-p {name}: unknown parameter of {names}; declared there: {', '.join(declared) or 'none'}"
            )
    requested = [
        request
        for notebook in notebooks
        for request in _requested_runs(notebook, profile, overrides, catalogue.at_hand)
    ]
    settled: list[tuple[RequestedRun, dict[str, str]]] = []
    for request in requested:
        try:
            settled.append((request, catalogue.inspect(request.notebook, request.values)))
        except MedtlError as error:
            if not request.optional:
                raise
            log(f"{request.label}: left out, {error}")
    labels = distinct_labels([r.label for r, _ in settled], [r.values for r, _ in settled])
    runs = []
    for label, (request, inputs) in zip(labels, settled, strict=True):
        budget = profile.plan(request.notebook.name).budget or profile.budget
        key = run_key(request.notebook, request.values, inputs, environment)
        runs.append(PlannedRun(label, request.notebook, request.values, budget, inputs, key))
    if not runs:
        raise MedtlError(f"profile {profile.name}: none of its data sets can be used, so nothing can be run")
    return runs


def _requested_runs(
    notebook: Notebook, profile: Profile, overrides: Mapping[str, str], at_hand: Callable[[], list[str]]
) -> list[RequestedRun]:
    """Each distinct run of one notebook under a profile and -p options, with its full parameters."""
    own = notebook.parameters
    plan = profile.plan(notebook.name)
    source = f"profile {profile.name}"
    chosen = own.check({n: v for n, v in overrides.items() if n in own.names}, "-p", text=True)
    common = own.check(plan.parameters, source)
    runs = [(own.check(run, source), plan.optional) for run in plan.runs]
    if "dataset" in chosen:
        runs = [({}, False)]
    named = {run.get("dataset") for run, _ in runs}
    distinct: list[RequestedRun] = []
    for run, optional in runs:
        every = run.get("dataset") == EVERY
        sets = [run | {"dataset": name} for name in at_hand() if name not in named] if every else [run]
        for values in sets:
            request = RequestedRun(notebook, own.defaults | common | values | chosen, optional or every)
            if request.values not in [other.values for other in distinct]:
                distinct.append(request)
    return distinct


def run_key(
    notebook: Notebook,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    environment: Mapping[str, Any],
) -> str:
    """SHA-256 (hex) of what decides a run: cells, tags, parameters, package source, data, environment."""
    content = {
        "cells": notebook.cells,
        "parameters": parameters,
        "package": package_hash(_rooms_in_kernels()),
        "inputs": inputs,
        "environment": environment,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def _rooms_in_kernels() -> list[str]:
    """Every room and module of the package but those that only start runs."""
    found = (
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    )
    return [name for name in found if name != "runner" and not name.startswith("cli")]
