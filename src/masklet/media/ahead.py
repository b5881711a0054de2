"""Work ahead in a thread: the next frames are decoded while the last one is used."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import NoReturn, TypeVar

T = TypeVar("T")


def read_ahead(items: Iterable[T], depth: int = 3) -> Iterator[T]:
    """The same items in the same order, up to `depth` of them made before they are asked for.

        for frame in read_ahead(source.frames(start)):
            ...

    The thread begins with the first item that is asked for. What the items' maker raises is raised here, after
    the items that came before it. The thread has ended, and the iterator of `items` is closed, when this iterator
    is exhausted, closed or let go; an item that is being made is waited for.
    """
    assert depth > 0, "a depth of 0 leaves no room for an item"
    made: SimpleQueue[Callable[[], T]] = SimpleQueue()  # calls that return an item, or raise
    room = Semaphore(depth)
    closed = Event()
    thread = Thread(target=_make, args=(items, made, room, closed), name="masklet-read-ahead", daemon=True)
    thread.start()

    def stop() -> None:
        closed.set()
        room.release()
        thread.join()

    atexit.register(stop)  # else a program that ends with this iterator in a global name would wait for ever
    try:
        while True:
            try:
                item = made.get()()
            except _End:
                return
            room.release()
            yield item
    finally:
        atexit.unregister(stop)
        stop()


class _End(Exception):
    """There are no more items."""


def _make(items: Iterable[T], made: SimpleQueue[Callable[[], T]], room: Semaphore, closed: Event) -> None:
    """Fill the queue, in the thread. Whatever happens, something is put last that ends the other side's waiting."""
    last: BaseException = _End()
    try:
        iterator = iter(items)
        try:
            while True:
                room.acquire()
                if closed.is_set():
                    break
                item = next(iterator)
                made.put(_returning(item))
        except StopIteration:
            pass
        finally:
            close = getattr(iterator, "close", None)  # generators have it, other iterators need not
            if close is not None:
                close()
    except BaseException as error:  # handed over, whatever it is: nobody else would see it
        last = error
    made.put(_raising(last))


def _returning(item: T) -> Callable[[], T]:
    return lambda: item


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    def raise_it() -> NoReturn:
        raise error

    return raise_it
