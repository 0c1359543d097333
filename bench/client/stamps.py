"""When bytes arrived: the kernel's stamp of a packet, brought to the clock of `time.perf_counter_ns`.

The kernel stamps in CLOCK_REALTIME, which can be stepped; we measure in CLOCK_MONOTONIC, which cannot. Both are driven
by the same oscillator and the same slewing, so the distance between them changes only when somebody steps the wall
clock. It is sampled around every read: a distance that moved since this connection's last sample means that a step
happened in between, and that one read is stamped when it was read. A step never becomes a latency.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Literal

SO_TIMESTAMPNS = 35
"""Linux, 64 bit, x86-64 and arm64; Python has no name for it. Option and control message have the same number."""
KERNEL_STAMPS = sys.platform == "linux" and struct.calcsize("l") == 8
ANCILLARY_BYTES = 64

NOISE_NS = 200_000
"""Distances closer than this are the same distance: sampling two clocks is not atomic."""
_CLEAN_NS = 20_000
"""A sample that took longer than this was interrupted; it is taken again."""
_TIMESPEC = struct.Struct("=qq").unpack

Clock = Callable[[], int]
Source = Literal["kernel", "read"]


def kernel_ns(ancillary: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The CLOCK_REALTIME stamp among a read's control messages, if there is one."""
    for _, kind, body in ancillary:
        if kind == SO_TIMESTAMPNS and len(body) == 16:
            seconds, nanoseconds = _TIMESPEC(body)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


class Stamper:
    """The clock of one connection; `start` at each request, then `arrived` after each read."""

    def __init__(self, monotonic: Clock = time.perf_counter_ns, wall: Clock = time.time_ns) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._distance_ns = 0
        self._floor_ns = 0
        self.source: Source | None = None
        """`kernel` while every stamp since `start` was the kernel's."""
        self.lag_max_ns = 0
        """Longest time from stamp to read since `start`: how late the event loop was."""

    def start(self) -> int:
        """The monotonic time, and the distance of the two clocks, as a request is handed to the socket."""
        _, self._distance_ns, _ = self._sample()
        self.source, self.lag_max_ns = None, 0
        self._floor_ns = self._monotonic()
        return self._floor_ns

    def arrived(self, kernel: int | None, *, use: bool = True) -> int:
        """The monotonic stamp of the bytes just read; `kernel` is their CLOCK_REALTIME stamp or None.

        Where it is not to be used (`use` false), it still tells how late the read was.

        Never before the stamp that came before it, never after now.
        """
        read_ns, distance_ns, width_ns = self._sample()
        moved = abs(distance_ns - self._distance_ns) > NOISE_NS + width_ns
        self._distance_ns = distance_ns
        if kernel is None or moved:
            return self._as_read(read_ns)
        stamp = kernel - distance_ns
        if not use:
            self.lag_max_ns = max(self.lag_max_ns, min(read_ns - stamp, read_ns - self._floor_ns))
            return self._as_read(read_ns)
        if not self._floor_ns - NOISE_NS <= stamp <= read_ns + NOISE_NS + width_ns:
            return self._as_read(read_ns)
        stamp = max(self._floor_ns, min(stamp, read_ns))
        self._floor_ns = stamp
        self.source = self.source or "kernel"
        self.lag_max_ns = max(self.lag_max_ns, read_ns - stamp)
        return stamp

    def _as_read(self, read_ns: int) -> int:
        self.source = "read"
        self._floor_ns = max(self._floor_ns, read_ns)
        return self._floor_ns

    def _sample(self) -> tuple[int, int, int]:
        """(time before, wall - monotonic, how long the sample took), the best of three if interrupted [ns]."""
        before = self._monotonic()
        wall = self._wall()
        width = self._monotonic() - before
        best = (before, wall - before - width // 2, width)
        for _ in range(2):
            if best[2] <= _CLEAN_NS:
                break
            again = self._monotonic()
            wall = self._wall()
            width = self._monotonic() - again
            if width < best[2]:
                best = (before, wall - again - width // 2, width)
        return best
