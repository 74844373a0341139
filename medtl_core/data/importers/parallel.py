"""A function over many items in threads, with the results in order and only a few of them in memory."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import joblib
from tqdm import tqdm

from medtl_core.errors import MedtlError

T = TypeVar("T")
S = TypeVar("S")
_AHEAD = 4  # results that wait for their turn, for each worker


def in_order(
    function: Callable[[T], S], items: Sequence[T], workers: int | None, progress: bool, verb: str
) -> Generator[tuple[T, S | MedtlError], None, None]:
    """Each item with what `function` makes of it, or with the MedtlError that it raises.

    Threads are enough: Pillow, pydicom's decoders and NumPy let others run while they work. Whatever else is
    raised, and Ctrl-C, ends the work; what has not begun is not begun.

    Args:
        workers: threads; None: one for each core.
        progress: a bar on stderr, which says `verb`, where that is a terminal.
    """
    workers = joblib.cpu_count() if workers is None else workers
    pool = ThreadPoolExecutor(workers, thread_name_prefix="medtl-import")
    waiting: deque[tuple[T, Future[S]]] = deque()
    try:
        with tqdm(
            total=len(items), desc=verb, unit="file", disable=None if progress else True, leave=False
        ) as bar:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= _AHEAD * workers:
                    done, future = waiting.popleft()
                    yield done, _result(future)
                    bar.update()
            while waiting:
                done, future = waiting.popleft()
                yield done, _result(future)
                bar.update()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: "Future[Any]") -> Any:
    try:
        return future.result()
    except MedtlError as error:
        return error
