"""Reads the one number of an answer line. Two numbers are none: we never guess which one was meant."""

from __future__ import annotations

import re
from decimal import Decimal

_MOST_DIGITS = 40
_WHOLE = re.compile(
    r"(?<![\w.,])[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9]+)(?:\.0+(?![0-9]))?"
)
_DECIMAL = re.compile(r"(?<![\w.,])[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
_EXACT_WHOLE = re.compile(r"[-+]?[0-9]+")
_EXACT_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_OPERATORS = "+-*/^%\u00d7\u00f7\u00b7"
_LEADS = frozenset(
    {"is", "are", "was", "has", "have", "had", "equals", "holds", "be", "total", "result", "with", "gives"}
)
HEDGES = re.compile(
    r"\b(?:or|not|cannot|unknown|undetermined|between|at least|at most|(?:more|less|fewer) than)\b|n't\b",
    re.IGNORECASE,
)
"""Words after which an answer line no longer states one value."""


def exact_whole(text: str) -> str | None:
    """Digits with an optional sign and nothing else."""
    return _whole(text) if _EXACT_WHOLE.fullmatch(text) else None


def exact_decimal(text: str, *, percent: bool) -> str | None:
    text = text.removesuffix("%") if percent else text
    return _decimal(text) if _EXACT_DECIMAL.fullmatch(text) else None


def only_whole(text: str, *, bare: bool) -> str | None:
    """The only number of the line, a whole one; thousands marks, a trailing `.0` and unit words are let through."""
    found = _only(_WHOLE, text, bare=bare)
    return None if found is None else _whole(found.partition(".")[0])


def only_decimal(text: str, *, percent: bool, bare: bool) -> str | None:
    found = _only(_DECIMAL, text.replace("%", " ") if percent else text, bare=bare)
    return None if found is None else _decimal(found)


def near(answer: str, target: str, digits: int) -> bool:
    """Equal when rounded to `digits` places, half a unit of the last place allowed."""
    slack = Decimal(1).scaleb(-digits) / 2 + Decimal("1e-9")
    return abs(Decimal(answer) - Decimal(target)) <= slack


def _only(number: re.Pattern[str], text: str, *, bare: bool) -> str | None:
    """`bare`: the line carries no "Answer:", so only "… is 42 coins" or the number itself count."""
    text = text.rpartition("=")[2]
    found = number.search(text)
    if found is None or HEDGES.search(text):
        return None
    before, after = text[: found.start()].rstrip(), text[found.end() :].strip()
    if any(sign.isdigit() for sign in before + after):
        return None
    if (
        text[found.end() : found.end() + 1].isalpha()
        or before[-1:] in tuple(_OPERATORS)
        or after[:1] in tuple(_OPERATORS)
    ):
        return None
    if bare and not (_leads(before) and len(after.split()) <= 3):
        return None
    return found[0]


def _leads(before: str) -> bool:
    return not before or before[-1] in ":>→" or before.split()[-1].casefold() in _LEADS


def _whole(text: str) -> str | None:
    digits = text.replace(",", "").replace(" ", "")
    return str(int(digits)) if len(digits) <= _MOST_DIGITS else None


def _decimal(text: str) -> str | None:
    digits = text.replace(",", "")
    return format(Decimal(digits), "f") if len(digits) <= _MOST_DIGITS else None
