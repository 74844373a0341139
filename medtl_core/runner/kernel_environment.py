"""The environment of a kernel: what a user has set for other programs does not reach a notebook."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from medtl_core.source_hash import PACKAGE

# Each of these changes silently what a notebook does: no figures, no assertions, code of another kernel.
DROPPED = (
    "MPLBACKEND",
    "PYTHONINSPECT",
    "PYTHONOPTIMIZE",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
)


def kernel_environment(own: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """All environment variables of a kernel: those of this process that are harmless, and `own`.

    IPython's profile lies in the empty folder `scratch`, matplotlib's settings are its own defaults.
    `PYTHONPATH` keeps only the folder that the package itself was found through.
    """
    environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
    found_through = str(PACKAGE.parent)
    if found_through in (os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p):
        environment["PYTHONPATH"] = found_through
    environment["IPYTHONDIR"] = str(scratch)
    environment["MATPLOTLIBRC"] = str(_matplotlib_defaults())
    return environment | dict(own)


def _matplotlib_defaults() -> Path:
    spec = find_spec("matplotlib")
    assert spec is not None, "matplotlib is a dependency of this package"
    assert spec.origin is not None, "matplotlib is an ordinary package"
    return Path(spec.origin).parent / "mpl-data" / "matplotlibrc"
