"""POT and skada, which only some users install."""

from typing import Any

import sklearn

from medtl_core.errors import MedtlError


def pot() -> Any:
    """The module of POT (Flamary et al. 2021); MedtlError where it is not installed."""
    try:
        import ot
    except ModuleNotFoundError:
        raise _missing("POT") from None
    return ot


def skada() -> Any:
    """The module skada (Gnassounou et al. 2024); MedtlError where it is not installed.

    Its import switches on scikit-learn's metadata routing for the whole process, under which
    `cross_val_score(groups=)` no longer works. The setting is put back.
    """
    routing = sklearn.get_config()["enable_metadata_routing"]
    try:
        import skada as library
    except ModuleNotFoundError:
        raise _missing("skada") from None
    finally:
        sklearn.set_config(enable_metadata_routing=routing)
    return library


def _missing(library: str) -> MedtlError:
    return MedtlError(f'adaptation: {library} is not installed; pip install "medtl[adaptation]"')
