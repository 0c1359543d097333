"""The kinds of answer: how each is read exactly, how leniently, and when two are the same.

`check` is what the item says about its own answers: `names`, `letters`, `digits`, `percent`. An answer comes
back in one canonical spelling, or None. `bare`: no "Answer:" led to this line, so prose must not be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench.scoring.numbers import HEDGES, exact_decimal, exact_whole, near, only_decimal, only_whole

Check = Mapping[str, Any]

_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"(?<![0-9])([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?![0-9])")
_DAY_FIRST = re.compile(r"(?<![0-9])([0-9]{1,2})(?:st|nd|rd|th)? (?:of )?([a-z]{3,9})\.?,? ([0-9]{4})(?![0-9])")
_MONTH_FIRST = re.compile(r"\b([a-z]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ([0-9]{4})(?![0-9])")
_CLOCK = re.compile(r"(?<![0-9:])([0-9]{1,2})(?::([0-9]{2}))?(?::00)?\s*([ap]\.?m\.?)?(?![0-9:])")
_LETTER_LEADS = re.compile(r":|=|->|→|\bis\b")


@dataclass(frozen=True)
class Kind:
    exact: Callable[[str, Check], str | None]
    """The whole text is the answer, in the very form that was asked for."""
    lenient: Callable[[str, Check, bool], str | None]
    """(cleaned line, check, bare)."""
    same: Callable[[str, str, Check], bool] = lambda answer, target, _: answer == target


def kind_of(name: str) -> Kind:
    """`text` for a kind nobody declared: a scorer never raises."""
    return _KINDS.get(name, _KINDS["text"])


# --- names ------------------------------------------------------------------------------------------------------------


def mentioned(text: str, names: list[str]) -> list[str]:
    """The item's own names in `text` as whole words, in order of mention; the longer wins where two begin alike."""
    by_first: dict[str, list[tuple[list[str], str]]] = {}
    for name in names:
        words = _words(name)
        if words:
            by_first.setdefault(words[0], []).append((words, name))
    words, found, at = _words(text), [], 0
    while at < len(words):
        fits = [c for c in by_first.get(words[at], []) if words[at : at + len(c[0])] == c[0]]
        best = max(fits, key=lambda c: len(c[0]), default=None)
        found += [best[1]] if best else []
        at += len(best[0]) if best else 1
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _exact_name(text: str, check: Check) -> str | None:
    return next((name for name in check.get("names", []) if name.casefold() == text.casefold()), None)


def _one_name(text: str, check: Check, bare: bool) -> str | None:
    found = _all_names(text, check)
    return found[0] if len(found) == 1 else None


def _all_names(text: str, check: Check) -> list[str]:
    """Distinct names in order of mention; none of them if the line hedges or denies."""
    return [] if HEDGES.search(text) else list(dict.fromkeys(mentioned(text, check.get("names", []))))


def _exact_names(text: str, check: Check) -> str | None:
    found = [_exact_name(part.strip(), check) for part in text.split(",")]
    distinct = [name for name in dict.fromkeys(found) if name is not None]
    return ", ".join(distinct) if len(distinct) == len(found) else None


def _name_list(text: str, check: Check, bare: bool) -> str | None:
    return ", ".join(_all_names(text, check)) or None


def _sorted(read: Callable[..., str | None]) -> Callable[..., str | None]:
    def read_set(*args: Any) -> str | None:
        found = read(*args)
        return None if found is None else ", ".join(sorted(found.split(", ")))

    return read_set


def _same_set(answer: str, target: str, check: Check) -> bool:
    return sorted(answer.split(", ")) == sorted(target.split(", "))


# --- calendar and clock -----------------------------------------------------------------------------------------------


def _day(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _month(word: str) -> str:
    """Its number; "0", which no date has, for a word that is no month."""
    return str(next((n for n, month in enumerate(_MONTHS, 1) if word.startswith(month)), 0))


def _exact_date(text: str, check: Check) -> str | None:
    return _day(*text.split("-")) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None


def _one_date(text: str, check: Check, bare: bool) -> str | None:
    """ISO, `14 March 2026` or `March 14, 2026`; never `03/04/2026`, which is two dates."""
    text = text.casefold()
    found = {_day(*parts) for parts in _ISO.findall(text)}
    found |= {_day(y, _month(m), d) for d, m, y in _DAY_FIRST.findall(text)}
    found |= {_day(y, _month(m), d) for m, d, y in _MONTH_FIRST.findall(text)}
    left = _MONTH_FIRST.sub("", _DAY_FIRST.sub("", _ISO.sub("", text)))
    return found.pop() if len(found) == 1 and not re.search("[0-9]", left) and not HEDGES.search(text) else None


def _exact_time(text: str, check: Check) -> str | None:
    return text if re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", text) else None


def _one_time(text: str, check: Check, bare: bool) -> str | None:
    text = text.casefold()
    found = _CLOCK.search(text)
    if found is None or HEDGES.search(text) or re.search("[0-9]", text[: found.start()] + text[found.end() :]):
        return None
    hour, minute, half = int(found[1]), found[2], (found[3] or "").replace(".", "")
    if not (minute or half) or (half and not 1 <= hour <= 12):
        return None
    hour = hour % 12 + 12 * (half == "pm") if half else hour
    return _exact_time(f"{hour:02d}:{minute or '00'}", check)


# --- the rest ---------------------------------------------------------------------------------------------------------


def _exact_bool(text: str, check: Check) -> str | None:
    word = text.casefold()
    return "yes" if word in _YES else "no" if word in _NO else None


def _one_bool(text: str, check: Check, bare: bool) -> str | None:
    words = _words(text)
    said = {"yes" if word in _YES else "no" for word in words if word in _YES | _NO}
    if len(said) != 1 or HEDGES.search(text) or (bare and len(words) > 1):
        return None
    return said.pop()


def _exact_letters(text: str, check: Check) -> str | None:
    return text if text and set(text) <= set(check.get("letters", "")) else None


def _spaced_letters(text: str, check: Check, bare: bool) -> str | None:
    """`a b c`, `"abc"`, `the string is abc`; every sign after the last lead must be one of the item's letters."""
    last = _LETTER_LEADS.split(text)[-1]
    return _exact_letters(re.sub(r"[\s\"',.]", "", last).casefold(), check)


def _exact_text(text: str, check: Check) -> str | None:
    return None if not text or re.fullmatch("<.*>", text) else " ".join(text.split())


def _any_text(text: str, check: Check, bare: bool) -> str | None:
    return None if bare else " ".join(text.split()) or None


def _same_text(answer: str, target: str, check: Check) -> bool:
    return " ".join(answer.casefold().split()) == " ".join(target.casefold().split())


_KINDS: dict[str, Kind] = {
    "int": Kind(lambda text, _: exact_whole(text), lambda text, _, bare: only_whole(text, bare=bare)),
    "dec": Kind(
        lambda text, check: exact_decimal(text, percent=bool(check.get("percent"))),
        lambda text, check, bare: only_decimal(text, percent=bool(check.get("percent")), bare=bare),
        lambda answer, target, check: near(answer, target, int(check.get("digits", 0))),
    ),
    "name": Kind(_exact_name, _one_name),
    "names": Kind(_exact_names, _name_list),
    "set": Kind(_sorted(_exact_names), _sorted(_name_list), _same_set),
    "date": Kind(_exact_date, _one_date),
    "time": Kind(_exact_time, _one_time),
    "bool": Kind(_exact_bool, _one_bool),
    "letters": Kind(_exact_letters, _spaced_letters),
    "text": Kind(_exact_text, _any_text, _same_text),
}
