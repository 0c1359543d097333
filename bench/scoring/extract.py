"""Finds the answer in a reply that was asked to end with `Answer: …`: strictly, and as a patient reader would.

`text` is what the model showed, thoughts already cut. The two differ only in form: `acc - acc_strict` is the price of
not having followed the form. "The last number in the text" is never an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bench.items import Graded, Item
from bench.scoring.clean import clean, last_box, plain
from bench.scoring.kinds import kind_of

_MARKER = re.compile(
    r"[\s>#*_`-]*(?:the\s+)?(?:final\s+)?answer[\s*_`]*(?:[:=]|is\b\s*:?|$)[*_`]*(?P<rest>.*)", re.IGNORECASE
)
_INLINE = re.compile(r"\banswer(?:\s+is\b\s*:?|\s*:)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_BULLET = re.compile(r"^\s*(?:[>*•-]|[0-9]+[.)])\s+")
_LISTS = frozenset({"names", "set"})


def strict(kind: str, text: str, check: Mapping[str, Any]) -> str | None:
    """The last line that is not blank starts with `Answer: ` and the rest of it is the answer, all of it."""
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "").strip()
    return kind_of(kind).exact(last.removeprefix("Answer: ").strip(), check) if last.startswith("Answer: ") else None


def lenient(kind: str, text: str, check: Mapping[str, Any]) -> str | None:
    """The first of these that is there decides, even if nothing can be read from it: the last line that starts like an
    answer, the last `\\boxed{}`, the last "answer is" inside a line, the last line as a whole.
    """
    lines = text.splitlines()
    found, bare = _candidate(lines, text, kind in _LISTS)
    found = clean(found)
    if found.startswith("<") and found.endswith(">"):  # the form line itself, or its brackets kept around an answer
        found = "" if kind == "text" else found[1:-1].strip()
    return kind_of(kind).lenient(found, check, bare)


def grade(item: Item, text: str) -> Graded:
    """The scorer of every task whose prompt asks for an `Answer:` line. `acc` is lenient, `acc_strict` beside it."""
    check = json.loads(item.check)
    answer, answer_strict = lenient(item.kind, text, check), strict(item.kind, text, check)
    same = kind_of(item.kind).same
    right = answer is not None and same(answer, item.target, check)
    right_strict = answer_strict is not None and same(answer_strict, item.target, check)
    return Graded(
        value=float(right),
        value_strict=float(right_strict),
        state="scored",
        reason="right" if right else "no_answer" if answer is None else "wrong",
        answer=answer,
        expected=item.target,
        strict_found=answer_strict is not None,
    )


def _candidate(lines: list[str], text: str, a_list: bool) -> tuple[str, bool]:
    """The piece of text that should hold the answer, and whether it stands there bare of any marker."""
    for at in range(len(lines) - 1, -1, -1):
        marked = _MARKER.fullmatch(plain(lines[at])) if "nswer" in lines[at].casefold() else None
        if marked:
            return marked["rest"] if _says_something(marked["rest"]) else _below(lines[at + 1 :], a_list), False
    boxed = last_box(text)
    if boxed is not None:
        return boxed, False
    for line in reversed(lines):
        inline = list(_INLINE.finditer(line)) if "nswer" in line.casefold() else []
        if inline:
            return _SENTENCE_END.split(line[inline[-1].end() :].strip(), maxsplit=1)[0], False
    return next((line for line in reversed(lines) if line.strip()), ""), True


def _below(lines: list[str], a_list: bool) -> str:
    """Under a marker that stands alone: the next line with a word in it; for lists, all lines up to a blank one."""
    start = next((n for n, line in enumerate(lines) if _says_something(line)), len(lines))
    block = lines[start : start + 1]
    if a_list:
        end = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
        block = lines[start:end]
    return "\n".join(_BULLET.sub("", line) for line in block)


def _says_something(line: str) -> bool:
    return re.search(r"\w", line) is not None
