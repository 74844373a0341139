"""From records to estimates: one for each data set and stratum of a rule."""

from dataclasses import replace

import pandas as pd

from medtl_core.evidence.case_resampling import CaseIntervals
from medtl_core.evidence.limits import limit_of, watched_records
from medtl_core.evidence.pairing import Stratum, select, strata
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.estimate import Estimate
from medtl_core.evidence.rules.kinds import kind_of


def estimates(rule: Rule, frame: pd.DataFrame, cases: CaseIntervals | None = None) -> list[Estimate]:
    """Estimates of a rule from the records of its study (the tidy table of `record.to_frame`).

    `cases` is asked for intervals that speak of new test cases too. Where arms have not converged, or values
    are bounds, there are estimates and no p values. MedtlError where the rule names a factor that the study
    did not record.
    """
    chosen = select(rule, frame)
    if chosen.empty:
        return []
    watched = watched_records(rule, frame)
    return [_estimate(rule, watched, stratum, cases) for stratum in strata(rule, chosen)]


def overall_estimates(rule: Rule, frame: pd.DataFrame) -> dict[str, Estimate]:
    """One summary per data set, strata averaged within each seed; it informs and is never judged."""
    flat = rule.model_copy(update={"by": [], "configurations": "pooled"})
    return {estimate.dataset: estimate for estimate in estimates(flat, frame)}


def _estimate(rule: Rule, watched: pd.DataFrame, stratum: Stratum, cases: CaseIntervals | None) -> Estimate:
    found = kind_of(rule).estimate(rule, stratum, cases)
    if limit := limit_of(rule, watched, stratum):
        found = replace(found, p_values=None, note="; ".join(filter(None, [found.note, limit])))
    pooled = stratum.records["configuration"].nunique()
    if pooled == 1:
        return found
    return replace(found, note="; ".join(filter(None, [found.note, f"{pooled} configurations pooled"])))
