"""Takes the wrapping off an answer: Markdown, LaTeX, quotes, look-alike signs. Never touches what is inside."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = re.compile(r"[⁰¹²³⁴-⁹]+")
_LOOK_ALIKES = str.maketrans("\u2010\u2011\u2012\u2013\u2212\u2018\u2019\u201c\u201d", "-----''\"\"")
_LATEX = ((r"\left", ""), (r"\right", ""), ("{,}", ","), (r"\,", " "), (r"\%", "%"))
_MATHS = re.compile(r"\\[()\[\]]|\$|\*\*|__|`")
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|operatorname)\{([^{}]*)\}")
_ENDS = " \t\r\n\"'«»*_.;,!"
_STARTS = " \t\r\n\"'«»*_"


def plain(line: str) -> str:
    """NFKC with the one thing NFKC gets wrong put right first: 4² is 4^2 and not 42. Minus signs
    become `-`, curly quotes straight."""
    line = _SUPERSCRIPTS.sub(lambda found: f"^{found[0]}", line)
    return unicodedata.normalize("NFKC", line).translate(_LOOK_ALIKES)


def clean(line: str) -> str:
    """The answer without its wrapping: one level of box, `\\text{}`, `$`, bold, quotes, backticks, closing signs."""
    line = plain(line)
    for command, meaning in _LATEX:
        line = line.replace(command, meaning)
    inside = last_box(line)
    if inside is not None:
        line = line.replace(f"\\boxed{{{inside}}}", inside)
    line = _MATHS.sub("", _TEXT_COMMAND.sub(r"\1", line))
    return line.lstrip(_STARTS).rstrip(_ENDS)


def last_box(text: str) -> str | None:
    """What the last balanced `\\boxed{…}` holds; one pass, so a reply of ten thousand braces costs nothing."""
    inside: str | None = None
    opened: list[int | None] = []
    for at, sign in enumerate(text):
        if sign == "{":
            opened.append(at + 1 if text.endswith("\\boxed", 0, at) else None)
        elif sign == "}" and opened:
            start = opened.pop()
            inside = text[start:at] if start is not None else inside
    return inside
