"""Existence: a superiority that need hold in one place only."""

from collections.abc import Sequence

from medtl_core.evidence.combine import Verdict, combine
from medtl_core.evidence.rule import Rule
from medtl_core.evidence.rules.superiority import Superiority


class Existence(Superiority):
    """Supported where any place supports it; the opposite elsewhere does not refute that something exists."""

    name = "existence"

    def combine(self, rule: Rule, verdicts: Sequence[Verdict]) -> Verdict:
        """A place that shows the opposite only fails to show it."""
        return combine(["not supported" if found == "contradicted" else found for found in verdicts], "any")


KIND = Existence()
