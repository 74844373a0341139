"""What keeps trials from deciding a rule: training that had not converged, values that are bounds only."""

import pandas as pd

from medtl_core.evidence.pairing import Stratum
from medtl_core.evidence.rule import Rule

CONVERGENCE = "best_step_share"
"""Metric of a trained arm: the best epoch as a share of the budget of epochs."""
CENSORED = "{}_censored"
"""Companion of a metric: 1 where its value is a bound that was not reached, 0 where it is the value."""

LAST_TENTH = 0.9
MOST = 0.2
"""More than this share of an arm's trials: it has not converged, or its metric is censored."""


def watched_records(rule: Rule, frame: pd.DataFrame) -> pd.DataFrame:
    """The records of a rule's study that say whether a trial may decide: what `limit_of` looks at."""
    metrics = [CONVERGENCE, CENSORED.format(rule.metric)]
    return frame[(frame["study"] == rule.study) & frame["metric"].isin(metrics)]


def limit_of(rule: Rule, watched: pd.DataFrame, stratum: Stratum) -> str:
    """Why the trials of a stratum decide nothing, in words; empty where they do.

    `watched` are the study's `watched_records`. An arm has not converged where its best epoch lies in the
    last tenth of the budget in more than a fifth of its trials; a metric is censored where more than a fifth
    of an arm's values are bounds. Trials that record neither are taken as they are.
    """
    if watched.empty:
        return ""
    trials = watched[watched["key"].isin(stratum.records["key"])]
    late = _share_by_arm(trials, CONVERGENCE, LAST_TENTH)
    bounds = _share_by_arm(trials, CENSORED.format(rule.metric), 0.5)
    reasons = [
        f"{arm} has not converged, with its best epoch in the last tenth in {_in_words(share)} trials"
        for arm, share in late.items()
        if share > MOST
    ]
    often = [f"{_in_words(share)} trials of {arm}" for arm, share in bounds.items() if share > MOST]
    if often:
        reasons.append(f"{rule.metric} is no more than a bound in {' and '.join(often)}")
    return "; ".join(reasons)


def _share_by_arm(trials: pd.DataFrame, metric: str, above: float) -> dict[str, float]:
    found = trials[trials["metric"] == metric]
    return {str(arm): float((part > above).mean()) for arm, part in found.groupby("arm")["value"]}


def _in_words(share: float) -> str:
    return "all" if share == 1 else f"{100 * share:.0f} % of the"
