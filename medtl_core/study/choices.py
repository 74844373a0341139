"""Refusing a parameter that names what a notebook does not know."""

from collections.abc import Iterable

from medtl_core.errors import MedtlError


def require_known(parameter: str, given: Iterable[str], known: Iterable[str]) -> None:
    """MedtlError, with the first unknown name, unless all of the parameter's names are among those known."""
    names = list(known)
    if unknown := sorted(set(given) - set(names)):
        raise MedtlError(
            f"{parameter}: found {unknown[0]!r}, expected some of {', '.join(names)}; change -p {parameter}"
        )
