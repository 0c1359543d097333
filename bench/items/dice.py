"""A random stream that is the same on every Python, machine and hash seed.

`random.Random` promises only `.random()` across versions; this is SHA-256 over (seed text, counter), 32 bytes a block,
with unbiased integers by rejection.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws from the stream named by `seed`, e.g. `core_ledger/1/frozen-1/3/17`."""

    def __init__(self, seed: str) -> None:
        self._root = sha256(seed.encode())
        self._block = 0
        self._pool = b""
        self._at = 0

    def _take(self, n: int) -> int:
        if self._at + n > len(self._pool):
            h = self._root.copy()
            h.update(self._block.to_bytes(8, "big"))
            self._block += 1
            self._pool, self._at = self._pool[self._at :] + h.digest(), 0
        out = int.from_bytes(self._pool[self._at : self._at + n], "big")
        self._at += n
        return out

    def below(self, n: int) -> int:
        """A whole number in [0, n), every one equally likely; n ≤ 2**64."""
        if not 0 < n <= 1 << 64:
            raise ValueError(f"below({n}): n must be in 1..2**64")
        width = max(1, ((n - 1).bit_length() + 7) // 8)
        limit = (1 << (8 * width)) // n * n
        while True:
            x = self._take(width)
            if x < limit:
                return x % n

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, numerator: int, denominator: int) -> bool:
        """True with probability numerator/denominator, exactly."""
        return self.below(denominator) < numerator

    def sample(self, options: Sequence[T], k: int) -> list[T]:
        """k different positions of `options`, in random order."""
        if k > len(options):
            raise ValueError(f"sample of {k} from {len(options)}")
        pool = list(options)
        for i in range(k):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:k]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        return self.sample(options, len(options))
