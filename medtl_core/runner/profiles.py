"""A profile: which parameters the notebooks run with, on which data, and within which budget."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medtl_core.errors import MedtlError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Budget(BaseModel):
    """What one run of one notebook may take: wall time in minutes, peak resident memory in GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    minutes: Positive
    memory_gib: Positive


class NotebookPlan(BaseModel):
    """One notebook in a profile: `parameters` of all its runs, and what each of `runs` adds (its data).

    A run with the data set "*" stands for one run on each data set at hand that no other run names.
    `optional`: data sets of `runs` that cannot be had are left out, and that is said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    budget: Budget | None = None
    parameters: dict[str, Any] = {}
    runs: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    optional: bool = False


class Profile(BaseModel):
    """A profile. A notebook that it does not list runs once with its own defaults, within `budget`.

    On a CPU `side_by_side` notebooks run at a time, where there is a core for each: short notebooks spend
    much of their time on what a second core cannot help with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    description: str
    needs_gpu: bool = False
    side_by_side: Annotated[int, Field(ge=1)] = 1
    budget: Budget
    notebooks: dict[str, NotebookPlan] = {}

    def plan(self, notebook: str) -> NotebookPlan:
        return self.notebooks.get(notebook, NotebookPlan())

    def notebooks_at_a_time(self, device: str, cores: int) -> int:
        """How many notebooks run side by side on "cpu" with so many cores; one at a time on a GPU."""
        return min(self.side_by_side, max(1, cores)) if device == "cpu" else 1


def profile_names(folder: Path) -> list[str]:
    """Names of the profiles in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_profile(folder: Path, name: str) -> Profile:
    """The profile `folder/name.yaml`. MedtlError if it is not there or breaks the form."""
    if name not in profile_names(folder):
        known = ", ".join(profile_names(folder)) or "none"
        raise MedtlError(f"unknown profile {name!r} in {folder}; there are: {known}")
    path = folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MedtlError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise MedtlError(f"{path}: {place}: {first['msg']}, found {first['input']!r}") from error
    if profile.name != name:
        raise MedtlError(f"{path}: name is {profile.name!r}, expected {name!r} as the file is called")
    return profile
