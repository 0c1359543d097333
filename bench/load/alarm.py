"""Waits for a moment of the monotonic clock to within microseconds: the loops' own timers count in milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0
_ABSOLUTE = 1
_LATE_NS = 2_000_000
"""Where there is no such timer, the loop's is set this much early, and the rest is waited out turn by turn."""


class Alarm:
    """One waiter at a time. On Linux a timer of the kernel (timerfd, through libc: Python has it from 3.13 on)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC) if self._libc else -1
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._ring)

    async def until(self, due_ns: int) -> None:
        """Returns at `due_ns` of `time.perf_counter_ns`, or at once when that has passed."""
        if due_ns <= time.perf_counter_ns():
            return
        if self._fd < 0:
            await asyncio.sleep(max(0.0, (due_ns - time.perf_counter_ns() - _LATE_NS) / 1e9))
            while time.perf_counter_ns() < due_ns:  # noqa: ASYNC110  (nothing will tell us)
                await asyncio.sleep(0)
            return
        assert self._libc is not None
        setting = struct.pack("@qqqq", 0, 0, *divmod(due_ns, 1_000_000_000))
        waiter = self._waiter = self._loop.create_future()
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, setting, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ring(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
