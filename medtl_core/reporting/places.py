"""Which images records are of: data set, domains and configuration, as a reader sees them."""

import json
from collections.abc import Sequence

import pandas as pd

from medtl_core.reporting.style import words

PLACE = "data set"
_PLACES = ("dataset", "source_domain", "target_domain")
_CONFIGURATION = "configuration"


def place_in_words(
    dataset: str, source: str = "", target: str = "", labels: dict[str, str] | None = None
) -> str:
    """A data set with its domains, as a reader sees it."""
    domains = " → ".join(words(domain, labels) for domain in dict.fromkeys((source, target)) if domain)
    name = words(dataset, labels)
    return f"{name} ({domains})" if domains else name


def places_in_words(frame: pd.DataFrame, labels: dict[str, str] | None = None) -> list[str]:
    """The data sets of a table of records, in its order."""
    columns = [name for name in _PLACES if name in frame]
    rows = frame[columns].drop_duplicates().to_dict("records")
    return [
        place_in_words(row["dataset"], row.get("source_domain", ""), row.get("target_domain", ""), labels)
        for row in rows
        if "dataset" in row
    ]


def with_places(
    chosen: pd.DataFrame, by: list[str], labels: dict[str, str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Records with a column `data set` where they are of several, and `by` with it in front.

    A data set's domains are named where it has several, and its configurations where its own differ.
    """
    columns = [name for name in (*_PLACES, _CONFIGURATION) if name in chosen and name not in by]
    places = list(chosen[columns].itertuples(index=False, name=None))
    if len(set(places)) < 2:
        return chosen, by
    datasets = {place: dict(zip(columns, place, strict=True)) for place in dict.fromkeys(places)}
    names = {}
    for place, parts in datasets.items():
        source, target = parts.get("source_domain", ""), parts.get("target_domain", "")
        others = [other for other in datasets.values() if other.get("dataset") == parts.get("dataset")]
        twice = len({(other.get("source_domain"), other.get("target_domain")) for other in others}) > 1
        domains = (source, target) if twice else ("", "")
        name = place_in_words(parts.get("dataset", ""), domains[0], domains[1], labels)
        settings = settings_apart([str(other.get(_CONFIGURATION, "")) for other in others], labels)
        names[place] = name + settings[str(parts.get(_CONFIGURATION, ""))]
    return chosen.assign(**{PLACE: [names[place] for place in places]}), [PLACE, *by]


def settings_apart(configurations: Sequence[str], labels: dict[str, str] | None) -> dict[str, str]:
    """What sets each configuration apart, in words: `, steps = 40`."""
    read = {text: json.loads(text) if text else {} for text in dict.fromkeys(configurations)}
    names = sorted({name for settings in read.values() for name in settings})
    differing = [name for name in names if len({repr(settings.get(name)) for settings in read.values()}) > 1]
    return {
        text: "".join(
            f", {words(n, labels)} = {words(settings[n], labels)}" for n in differing if n in settings
        )
        for text, settings in read.items()
    }
