"""A function over many items in threads, with the results in order and only a few of them in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import joblib
from tqdm import tqdm

from medtl_core.errors import MedtlError

T = TypeVar("T")
S = TypeVar("S")
_AHEAD = 4  # batches that wait for their turn, for each worker


def in_order(
    function: Callable[[T], S],
    items: Sequence[T],
    workers: int | None,
    progress: bool,
    verb: str,
    together: int = 1,
) -> Generator[tuple[T, S | MedtlError], None, None]:
    """Each item with what `function` makes of it, or with the MedtlError that it raises.

    Threads are enough: Pillow, pydicom's decoders and NumPy let others run while they work. Whatever else is
    raised, and Ctrl-C, ends the work; what has not begun is not begun.

    Args:
        workers: threads; None: one for each core.
        progress: a bar on stderr, which says `verb`, where that is a terminal.
        together: items that a thread takes at a time; handing one over costs some 50 microseconds.
    """
    workers = joblib.cpu_count() if workers is None else workers
    pool = ThreadPoolExecutor(workers, thread_name_prefix="medtl-import")
    waiting: deque[Future[list[tuple[T, S | MedtlError]]]] = deque()
    rest = iter(items)
    try:
        with tqdm(
            total=len(items), desc=verb, unit="file", disable=None if progress else True, leave=False
        ) as bar:
            while True:
                batch = list(islice(rest, together))
                if batch:
                    waiting.append(pool.submit(_each, function, batch))
                if not waiting:
                    return
                if not batch or len(waiting) >= _AHEAD * workers:
                    for result in waiting.popleft().result():
                        yield result
                        bar.update()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _each(function: Callable[[T], S], items: Iterable[T]) -> list[tuple[T, S | MedtlError]]:
    return [(item, _tried(function, item)) for item in items]


def _tried(function: Callable[[T], S], item: T) -> S | MedtlError:
    try:
        return function(item)
    except MedtlError as error:
        return error
