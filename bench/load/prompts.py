"""Prompts of an exact number of tokens, each its own: no server's cache can have seen a cold one.

Words that all cost the same, of which the tokenizer, or the server's own count, told how many tokens they take.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Cache = Literal["cold", "warm", "mixed"]
CACHES: tuple[Cache, ...] = ("cold", "warm", "mixed")

_NOUNS = """
time year people way day man thing woman life child world school state family student group country problem hand part
place case week company system program question work government number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father power hour
game line end member law car city
"""
WORDS = tuple(_NOUNS.split())
"""Most tokenizers have one token for each, with the space before it; what they cost is measured."""
NONCE_WORDS = 8
"""Drawn from all words: some 48 bits, so that no two prompts of a run begin (or, warm ones, end) alike."""
SHARED_SHARE = 0.75
"""How much of a warm prompt all prompts share."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What prompts are built from, for one target."""

    words: tuple[str, ...]
    """Each with its space before it; all of one cost."""
    cost: int
    """Tokens of one word."""
    filler: str | None
    """Text of one token, to fill up what words leave; None where none is known."""
    overhead: int
    """Tokens that the server counts beyond ours: template, begin mark."""
    exact: bool
    """Proved by a request whose count came out right."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Recipe:
        return cls(**{**row, "words": tuple(row["words"])})

    @property
    def least(self) -> int:
        """Tokens of the shortest prompt: its nonce."""
        return self.overhead + NONCE_WORDS * self.cost

    def prompt(self, tokens: int, rng: random.Random, *, shared: Sequence[str] = ()) -> str:
        """A prompt that the server counts as `tokens`, or as `least` if that is more.

        It begins with its nonce; with `shared`, it begins with words of those and ends with its nonce.
        """
        left = max(tokens, self.least) - self.overhead - NONCE_WORDS * self.cost
        nonce = rng.choices(self.words, k=NONCE_WORDS)
        n_words = left // self.cost
        n_shared = min(len(shared), int(n_words * SHARED_SHARE)) if shared else 0
        body = rng.choices(self.words, k=n_words - n_shared)
        fill = [self.filler] * (left - n_words * self.cost) if self.filler else []
        parts = (*shared[:n_shared], *body, *fill, *nonce) if shared else (*nonce, *body, *fill)
        return "".join(parts)

    def shared(self, seed: Sequence[int], most_tokens: int) -> tuple[str, ...]:
        """The words that warm prompts of this seed begin with, enough for the longest."""
        rng = random.Random(":".join(map(str, ("shared", *seed))))
        return tuple(rng.choices(self.words, k=max(0, most_tokens // self.cost)))
