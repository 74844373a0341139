"""Interaction: the difference between two arms rises or falls along a factor."""

from medtl_core.evidence.rules.trend import TrendKind


class Interaction(TrendKind):
    """A trend of treatment - control."""

    name = "interaction"
    needs = frozenset({"treatment", "control", "trend"})
    refuses = frozenset({"tolerance"})


KIND = Interaction()
