"""Work ahead in a thread: the next frames are decoded while the last one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")

THREAD = "masklet-read-ahead"
"""How names of these threads begin."""


def read_ahead(items: Iterable[T], depth: int = 3) -> Iterator[T]:
    """The same items in the same order, up to `depth` of them made before they are asked for.

        for frame in read_ahead(source.frames(start)):
            ...

    The thread begins with the first item that is asked for. What the items' maker raises is raised here, after
    the items that came before it. The thread has ended, and the iterator of `items` is closed, when this iterator
    is exhausted, closed or let go; an item that is being made is waited for.
    """
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1, THREAD)
    try:
        coming = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, iterator, end))
            yield cast("T", item)
    finally:
        pool.shutdown(cancel_futures=True)
        if (close := getattr(iterator, "close", None)) is not None:  # generators have it, other iterators need not
            close()
