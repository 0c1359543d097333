"""`core_rewrite`: apply ordered rules to a string of letters until none fits; measures long, exact execution."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bench.items import Draft, Item, Task
from bench.items.dice import Dice
from bench.items.wordings import PUBLIC, body_of, draft, non_answers, pattern, read_back, spellings
from bench.scoring.extract import grade

LETTERS = "abc"
STEPS = {1: (1, 3), 2: (3, 6), 3: (7, 12), 4: (13, 20), 5: (21, 36), 6: (37, 60)}
_RULES = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 6}
_LENGTH = {1: (6, 7), 2: (7, 9), 3: (8, 11), 4: (9, 12), 5: (9, 14), 6: (11, 15)}
_LONGEST = 24
_STRINGS_PER_RULES = 8
_SAMENESS = ("aaaaa", "bbbbb", "ccccc")

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wording:
    intro: str
    rule: str
    how: str
    question: str


_WORDINGS = (
    Wording(
        "A string of letters is rewritten by these rules, in order of priority:",
        "{k}. {left} -> {right}",
        "Repeat: take the first rule in the list whose left side occurs anywhere in the string, and replace its"
        " leftmost occurrence by the right side. Stop when no rule can be used.",
        "The string is {string}. What is it when you stop?",
    ),
    Wording(
        "A machine works on a tape of letters. Its table, of which an upper row always goes before a lower one:",
        "row {k}: find {left}, put {right}",
        "In one cycle the machine looks for the uppermost row whose letters to find stand side by side somewhere on the"
        " tape, and changes the place furthest to the left where they stand. Then the next cycle begins at the top of"
        " the table. When no row applies, it halts.",
        "The tape reads {string} at first. What does it read when the machine has halted?",
    ),
    Wording(
        "Beads of three sorts, a, b and c, are threaded in a row. There are exchanges, numbered by rank:",
        "exchange {k}: {left} becomes {right}",
        "An exchange is possible where its first letters stand side by side in the row. Always make the exchange of"
        " the lowest number that is possible anywhere in the row as it is now. If it is possible at several places,"
        " make it at the first one from the left, and nowhere else. Then look again from exchange 1. The row is"
        " finished when no exchange is possible.",
        "Which row do you end with if you begin with {string}?",
    ),
    Wording(
        "def step(s): try the pairs (old, new) below from top to bottom; at the first pair whose old is in s,\n"
        "return s with only the first (leftmost) old replaced by new; if there is no such pair, s is final.",
        '("{left}", "{right}")',
        "Call step on its own result over and over until s is final.",
        'Starting from s = "{string}", what is the final s?',
    ),
    Wording(
        "In a letter game the player must always obey the topmost card that can be obeyed:",
        "card {k}: change one {left} into {right}",
        "A card can be obeyed when its first letters stand side by side in the word. If they do so in several places,"
        " the player changes the ones that begin earliest. After every change the player goes back to card 1 and looks"
        " at the changed word. The game is over when no card can be obeyed.",
        "The word at the beginning is {string}. Which word is on the table when the game is over?",
    ),
)


def make(dice: Dice, level: int, i: int) -> Draft:
    """The number of steps is fixed by the item's place, evenly over the level's range."""
    wording, (low, high) = _WORDINGS[i % PUBLIC], STEPS[level]
    steps = low + round((i // PUBLIC % 6) * (high - low) / 5)
    rules, string, answer = _puzzle(dice, level, steps)
    listed = "\n".join(wording.rule.format(k=k, left=left, right=right) for k, (left, right) in enumerate(rules, 1))
    body = f"{wording.intro}\n{listed}\n{wording.how}\n\n{wording.question.format(string=string)}"
    return draft(
        body=body,
        form="letters without spaces",
        target=answer,
        again=by_splitting(*read(body)),
        i=i,
        level=level,
        kind="letters",
        size=steps,
        check=json.dumps({"letters": LETTERS}),
    )


def _puzzle(dice: Dice, level: int, steps: int) -> tuple[Rules, str, str]:
    """Draws until a run comes to an end, then begins `steps` steps before that end."""
    low, high = _LENGTH[level]
    while True:
        rules = _rules(dice, _RULES[level])
        for _ in range(_STRINGS_PER_RULES):
            whole = run(rules, _string(dice, low, high), 2 * STEPS[level][1])
            states = (whole or [])[-1 - steps :]
            if len(states) == steps + 1 and low <= len(states[0]) <= high and _worth_asking(rules, states):
                return rules, states[0], states[-1]


def _rules(dice: Dice, n: int) -> Rules:
    """Different left sides of 2 or 3 letters, right sides of 1 to 3, no rule that leaves the string as it is."""
    rules: dict[str, str] = {}
    while len(rules) < n:
        left = _string(dice, 2, 3 if dice.chance(1, 3) else 2)
        right = _string(dice, *dice.choice(((1, 2), (2, 2), (2, 2), (2, 3))))
        if right != left and left not in rules:
            rules[left] = right
    return tuple(rules.items())


def _string(dice: Dice, low: int, high: int) -> str:
    return "".join(dice.choice(LETTERS) for _ in range(dice.integer(low, high)))


def run(rules: Rules, string: str, most: int) -> list[str] | None:
    """First solver: every state from the first to the last; None if `most` steps do not bring it to an end."""
    states = [string]
    for _ in range(most + 1):
        now = states[-1]
        rule = next(((left, right) for left, right in rules if left in now), None)
        if rule is None:
            return states
        at = now.find(rule[0])
        states.append(now[:at] + rule[1] + now[at + len(rule[0]) :])
        if len(states[-1]) > _LONGEST:
            return None
    return None


def by_splitting(rules: Rules, string: str) -> str:
    """Second solver: position by position instead of searching."""
    for _ in range(1000):
        places = (
            (left, right, at) for left, right in rules for at in range(len(string)) if string[at:].startswith(left)
        )
        place = next(places, None)
        if place is None:
            return string
        left, right, at = place
        string = right.join((string[:at], string[at:].removeprefix(left)))
    raise AssertionError("the rules do not come to an end")


def _worth_asking(rules: Rules, states: list[str]) -> bool:
    """Enough rules take part, their order matters from three rules on, and the end is no trivial string."""
    start, end = states[0], states[-1]
    used = {next(left for left, _ in rules if left in state) for state in states[:-1]}
    shortcuts = {start, start[::-1], "".join(sorted(start)), "".join(sorted(start, reverse=True))}
    shortcuts |= {side for rule in rules for side in rule}
    other_way = run(rules[::-1], start, 2 * len(states)) if len(rules) > 2 else None
    return (
        len(used) >= min(len(rules) - (len(rules) > 3), (len(states) + 1) // 3)
        and 5 <= len(end) <= 16
        and len(set(end)) > 1
        and not any(same in end for same in _SAMENESS)
        and end not in shortcuts
        and (other_way is None or other_way[-1] != end)
    )


def read(body: str) -> tuple[Rules, str]:
    """Rules and string again, from the text alone."""
    table, question = body.split("\n\n")
    (wording,) = (w for w in _WORDINGS if pattern(w.question).fullmatch(question))
    found = [pattern(wording.rule).fullmatch(line) for line in table.splitlines()]
    rules = tuple((one["left"], one["right"]) for one in found if one)
    return rules, read_back({"": wording.question}, question)[1]["string"]


def _spellings(item: Item) -> Sequence[str]:
    spaced = " ".join(item.target)
    return (*spellings(item), f"Answer: {spaced}", f'Answer: "{item.target.upper()}"', f"{spaced}")


def _mutants(item: Item) -> Sequence[str]:
    """Stopped one step early, taken the rules upside down or the last place instead of the first, slips of the pen."""
    rules, string = read(body_of(item.prompt))
    t = item.target
    states = run(rules, string, item.size) or [string]
    upside_down = run(rules[::-1], string, 100) or [string]
    near = [*states[-4:-1], upside_down[-1], string, t[:-1], t + t[-1], t[::-1], t[1:] + t[0], t.replace(t[0], t[-1])]
    wrong = [f"Answer: {n}" for n in dict.fromkeys(near) if n != t]
    return (*wrong, *non_answers(item), f"Answer: {t} or {string}", f"Answer: {t}d")


TASKS = (
    Task(
        name="core_rewrite",
        version=1,
        levels=(1, 2, 3, 4, 5),
        per_level=30,
        chance=0.0,
        max_gen_toks=2048,
        make=make,
        grade=grade,
        mutants=_mutants,
        spellings=_spellings,
    ),
)
