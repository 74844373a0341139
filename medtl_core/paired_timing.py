"""Seconds of jobs that take turns, so that a machine which slows down slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def median_seconds(
    jobs: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median over `rounds` of the seconds of each job, by its name.

    In each round every job runs once, in their order. A round before the first warms up and does not count.

    Args:
        clock: wall time; `time.process_time` for that of the processor, summed over threads, which hardly
            depends on what else the machine does.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            started = clock()
            job()
            if turn:
                seconds[name].append(clock() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}
