"""Kernels that run in this very interpreter, whatever kernels the machine registers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

KERNEL = "python3"
_MODULE = "medtl_core.runner.kernel_process"
_SPEC = KernelSpec(
    argv=[sys.executable, "-Xfrozen_modules=off", "-m", _MODULE, "-f", "{connection_file}"],
    display_name="Python 3",
    language="python",
)


class _ThisInterpreter(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return _SPEC


def kernel_manager(
    environment: dict[str, str],
    folder: Path,
    scratch: Path,
    stderr: IO[bytes],
    on_start: Callable[[int], None],
) -> type[AsyncKernelManager]:
    """A class of managers that start kernels in `folder` with just this environment.

    `scratch`, an existing folder, takes the file that says how to reach the kernel, `stderr` what it says
    outside of cells, such as a crash. `on_start` is told its process id, also that of its process group.
    """

    class Manager(AsyncKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            own = {
                "kernel_spec_manager": _ThisInterpreter(),
                "connection_file": str(scratch / "connection.json"),
            }
            super().__init__(**(kwargs | own))

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            own = {"env": environment, "cwd": str(folder), "stderr": stderr}
            await super().start_kernel(**(kwargs | own))
            on_start(self.provisioner.pid)  # type: ignore[union-attr]

    return Manager
