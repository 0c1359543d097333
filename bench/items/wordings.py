"""How the `core` tasks ask: five public wordings each, the closing lines, and templates that can be read back.

A second solver reads the finished prompt, not the structure it was made from: so it proves the text as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from bench.items import Draft, Item

PUBLIC = 5
"""Wordings that come in committed and monthly items; item `i` of a level has wording `i % PUBLIC`."""

_NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)?"
_SHAPES = {"n": "[0-9]+", "k": "[0-9]+", "thing": "[a-z]+", "holdings": ".+", "chain": ".+", "relation": "[a-z]+"}
_SHAPES |= {"left": "[a-z]+", "right": "[a-z]+", "string": "[a-z]+"}
_FIELD = re.compile(r"\\\{([a-z]+)\\\}")


def ask(body: str, form: str) -> str:
    """The prompt: `body`, a blank line, and what the last line of the reply must look like."""
    return f"{body}\n\nYou may think step by step. End your reply with one line of the form\nAnswer: <{form}>"


def body_of(prompt: str) -> str:
    """What `ask` was given."""
    return prompt.rpartition("\n\nYou may think step by step.")[0]


def draft(
    *, body: str, form: str, target: str, again: str, i: int, level: int, kind: str, size: int, check: str
) -> Draft:
    """`target` and `again` are the answers of two solvers; they must agree before anybody is asked."""
    if target != again:
        raise AssertionError(f"one solver says {target!r}, the other {again!r}, of: {body}")
    return Draft(
        prompt=ask(body, form),
        target=target,
        cluster=f"w{i % PUBLIC}/L{level}",
        kind=kind,
        size=size,
        witness=f"I went through it in order, one step after the other.\nAnswer: {target}",
        check=check,
    )


@cache
def pattern(template: str) -> re.Pattern[str]:
    """A template as the expression that reads it back; a field that is not in `_SHAPES` holds a name."""
    seen: set[str] = set()

    def field(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_SHAPES.get(name, _NAME)})"

    return re.compile(_FIELD.sub(field, re.escape(template)))


def read_back(templates: Mapping[str, str], line: str) -> tuple[str, dict[str, str]]:
    """Which template made the line, and from what; a line that two templates could have made is a defect."""
    fits = [(key, found.groupdict()) for key, text in templates.items() if (found := pattern(text).fullmatch(line))]
    if len(fits) != 1:
        raise AssertionError(f"{line!r} was made by {[key for key, _ in fits] or 'no template'}")
    return fits[0]


def spellings(item: Item) -> Sequence[str]:
    """Right replies in the shapes models really use; each must score 1."""
    t = item.target
    return (
        item.witness,
        f"**Answer: {t}**",
        f"Step 1 gives 7, step 2 gives 9.\n\n### Answer\n{t}\n",
        f"So the final result is $\\boxed{{{t}}}$.",
        f"<think>Answer: 1 or 2?</think>\nAnswer: {t}.\n\nLet me know if you want the steps!",
        f"Answer: nothing yet\nWait, I can do better.\nThe answer is {t}",
    )


def non_answers(item: Item) -> Sequence[str]:
    """Replies that hold the right answer, or could seem to, and must score 0."""
    form = item.prompt.rpartition("Answer: ")[2]
    return (
        "",
        "Answer: cannot be determined",
        f"Answer: {form}",
        f"Answer: not {item.target}",
        f"<think>Answer: {item.target}",
    )
