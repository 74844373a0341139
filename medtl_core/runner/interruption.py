"""Signals that ask a run to end: Ctrl-C, a polite kill, a closed terminal."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptions_raised() -> Iterator[None]:
    """Meanwhile each of these signals raises KeyboardInterrupt in the main thread, as Ctrl-C does."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def interruptions_noted() -> Iterator[Callable[[], bool]]:
    """Whether one of these signals came; meanwhile it interrupts nothing, so that what runs stays whole."""
    asked = threading.Event()
    with _handled(lambda number, frame: asked.set()):
        yield asked.is_set


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """The handlers that were there are there again afterwards. Below nohup SIGHUP stays ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in NUMBERS if not (ignored and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)
