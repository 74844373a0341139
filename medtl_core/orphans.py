"""No process outlives the one that started it, however that one ends."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_SECONDS_BETWEEN_LOOKS = 1.0
_bound = threading.Event()


def die_with_parent(parent: int | None = None) -> None:
    """Ends this process, at once and whatever it is doing, when its parent ends, be it killed.

    `parent` is the process id that the parent is known to have: where it has ended already, so does this
    process. Called again in the same process, it does nothing. On Linux the system sends the signal;
    elsewhere a thread looks for the parent every second.
    """
    expected = os.getppid() if parent is None else parent
    if not _bound.is_set():
        _bound.set()
        if sys.platform == "linux":
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        else:
            threading.Thread(target=_look_for, args=(expected,), name="medtl-parent", daemon=True).start()
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)


def _look_for(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)
