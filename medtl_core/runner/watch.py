"""A kernel and its child processes while they run: their memory, and their end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

SECONDS_BETWEEN_MEASUREMENTS = 2.0  # finding a process tree reads all of /proc, counting its pages all maps
SECONDS_TO_ANSWER = 0.2


class KernelWatch:
    """What is seen of one kernel. `peak_memory` in bytes; `stopped`: it was killed because of `cancelled`."""

    def __init__(self) -> None:
        self.peak_memory = 0
        self.stopped = False
        self._kernel: int | None = None
        self._seen: dict[int, psutil.Process] = {}

    def started(self, pid: int) -> None:
        """Notes the kernel's process id. It leads a session, and so a process group, of its own."""
        self._kernel = pid

    def measure(self) -> None:
        """Adds up what the kernel and its child processes hold in memory now."""
        processes = self._tree()
        self._seen |= {process.pid: process for process in processes}
        self.peak_memory = max(self.peak_memory, sum(_resident(process) for process in processes))

    def kill(self) -> None:
        """Ends the kernel and all that it started, also what it has left behind."""
        if self._kernel is None:
            return
        processes = {process.pid: process for process in self._tree()} | self._seen
        with suppress(ProcessLookupError):
            os.killpg(self._kernel, signal.SIGKILL)
        for process in processes.values():
            with suppress(psutil.NoSuchProcess):
                process.kill()  # which looks first whether the id means the same process still

    def _tree(self) -> list[psutil.Process]:
        try:
            kernel = psutil.Process(self._kernel) if self._kernel else None
            return [kernel, *kernel.children(recursive=True)] if kernel else []
        except psutil.Error:
            return []


@contextmanager
def watched(cancelled: Callable[[], bool]) -> Iterator[KernelWatch]:
    """Follows a kernel; kills it once `cancelled` says so, and whatever is left of it at the end."""
    watch, ended = KernelWatch(), threading.Event()

    def follow() -> None:
        measured = time.monotonic()
        while not ended.wait(SECONDS_TO_ANSWER):
            if cancelled():
                watch.stopped = True
                watch.kill()
            elif time.monotonic() - measured >= SECONDS_BETWEEN_MEASUREMENTS:
                watch.measure()
                measured = time.monotonic()

    thread = threading.Thread(target=follow, name="medtl-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        watch.kill()


def _resident(process: psutil.Process) -> int:
    """Bytes of memory; pages that processes share count in parts where the system tells (Linux)."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except psutil.Error:
        return 0
