"""Kernels that run in this very interpreter, whatever kernels the machine registers."""

import sys
from typing import IO, Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

KERNEL = "python3"
_SPEC = KernelSpec(
    argv=[sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    display_name="Python 3",
    language="python",
)


class _ThisInterpreter(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return _SPEC


def kernel_manager(environment: dict[str, str], stderr: IO[bytes]) -> type[AsyncKernelManager]:
    """A class of managers that start kernels with just this environment.

    `stderr` takes what a kernel says outside of cells, such as a crash.
    """

    class Manager(AsyncKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**(kwargs | {"kernel_spec_manager": _ThisInterpreter()}))

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            await super().start_kernel(**(kwargs | {"env": environment, "stderr": stderr}))

    return Manager
