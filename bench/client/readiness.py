"""Tells connections that there is something to read, an end or an error included.

Our own epoll, itself watched by the loop: uvloop (libuv) stops watching a socket whose poll reports an error and tells
nobody, so a connection reset by its server would never be heard of. It is also one callback for many sockets.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Protocol


class Readiness(Protocol):
    """Whoever calls back when a file descriptor can be read."""

    def add(self, fd: int, callback: Callable[[], None]) -> None: ...
    def remove(self, fd: int) -> None: ...
    def close(self) -> None: ...


def readiness(loop: asyncio.AbstractEventLoop) -> Readiness:
    """epoll where there is one, else the loop's own readers."""
    return Epoll(loop) if sys.platform == "linux" else LoopReaders(loop)


class Epoll:
    """One epoll per transport, level-triggered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._ready)

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self) -> None:
        for fd, _ in self._epoll.poll(0):
            callback = self._callbacks.get(fd)  # an earlier callback of this round may have closed it
            if callback is not None:
                callback()


class LoopReaders:
    """The loop's own readers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        self._loop.add_reader(fd, callback)

    def remove(self, fd: int) -> None:
        self._loop.remove_reader(fd)

    def close(self) -> None:
        """Nothing of ours is left to close."""
