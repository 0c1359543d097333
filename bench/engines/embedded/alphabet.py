"""The family's vocabulary: one token per character, printable ASCII and newline, then three marks."""

from __future__ import annotations

from collections.abc import Iterable

MARKS = ("<bos>", "<eos>", "<unk>")
VOCABULARY: tuple[str, ...] = ("\n", *map(chr, range(32, 127)), *MARKS)
BOS, EOS, UNK = (VOCABULARY.index(mark) for mark in MARKS)
_NUMBER = {token: number for number, token in enumerate(VOCABULARY)}


def encode(text: str) -> list[int]:
    """One number per character; anything outside the alphabet is `<unk>`."""
    return [_NUMBER.get(character, UNK) for character in text]


def decode(tokens: Iterable[int]) -> str:
    """The text of `tokens`, marks left out."""
    return "".join(VOCABULARY[t] for t in tokens if t < BOS)
