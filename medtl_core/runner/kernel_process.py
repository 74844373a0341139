"""What a kernel's process runs: IPython's kernel, which ends with the process that started it.

Usage: python -m medtl_core.runner.kernel_process -f CONNECTION_FILE
"""

import os
import sys

from medtl_core.orphans import die_with_parent


def main() -> None:
    """Runs the kernel until it is shut down."""
    die_with_parent(int(os.environ["JPY_PARENT_PID"]))  # jupyter_client notes it for each kernel
    if sys.path[0] == os.getcwd():
        del sys.path[0]  # what `python -m` puts there; IPython adds the folder as notebooks expect it
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance()


if __name__ == "__main__":
    main()
