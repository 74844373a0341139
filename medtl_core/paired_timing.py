"""Seconds of jobs that take turns, so that a machine which slows down slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def median_seconds(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median over `rounds` of the wall time of each job, by its name.

    In each round every job runs once, in their order. A round before the first warms up and does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}
