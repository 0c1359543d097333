"""`core_ledger`: who owns how much after a list of gives, swaps and conditions; measures faithful state tracking."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from bench.items import Draft, Item, Task
from bench.items.dice import Dice
from bench.items.wordings import PUBLIC, body_of, draft, non_answers, pattern, read_back, spellings
from bench.items.words import GOODS, PEOPLE
from bench.scoring.extract import grade

OPERATIONS = {1: 3, 2: 8, 3: 16, 4: 32, 5: 64, 6: 128}
_PEOPLE = {1: 3, 2: 3, 3: 5, 4: 6, 5: 8, 6: 8}
_CONDITIONS = {1: 0, 2: 1, 3: 3, 4: 10, 5: 19, 6: 38}
_AT_FIRST = {1: (12, 96), 2: (12, 96), 3: (20, 180), 4: (20, 240), 5: (20, 300), 6: (20, 300)}
_MOST_MOVED = {1: 49, 2: 49, 3: 79, 4: 79, 5: 99, 6: 99}
_PLAIN = ("gives", "gives", "gives", "gets", "loses", "swaps", "doubles")
_RICHEST = 999


@dataclass(frozen=True)
class Event:
    kind: str
    a: str
    b: str = ""
    c: str = ""
    n: int = 0


@dataclass(frozen=True)
class Story:
    start: dict[str, int]
    events: tuple[Event, ...]
    asked: str


@dataclass(frozen=True)
class Wording:
    intro: str
    start: str
    lines: dict[str, str]
    question: str
    numbering: str
    joint: str


_WORDINGS = (
    Wording(
        "Each person below keeps a purse of {thing}, and at first {holdings}. Then this happens, in this order:",
        "{a} has {n}",
        {
            "gets": "{a} finds {n} {thing}.",
            "loses": "{a} loses {n} {thing}.",
            "gives": "{a} gives {b} {n} {thing}.",
            "swaps": "{a} and {b} swap purses with all that is in them.",
            "doubles": "{a} doubles what is in the purse.",
            "duel": "If {a} now has more {thing} than {b}, {a} gives {b} {n} {thing}; otherwise {b} gives {a} {n}.",
            "third": "If {a} now has more {thing} than {b}, {c} gives {a} {n} {thing}; otherwise {c} gives {b} {n}.",
        },
        "How many {thing} does {a} have at the end?",
        "{k}. ",
        "\n",
    ),
    Wording(
        "A game is scored in {thing}. Opening scores: {holdings}. The rounds, in order of play:",
        "{a} {n}",
        {
            "gets": "the score of {a} rises by {n}",
            "loses": "the score of {a} falls by {n}",
            "gives": "{n} {thing} pass from {a} to {b}",
            "swaps": "{a} and {b} exchange their whole scores",
            "doubles": "the score of {a} is doubled",
            "duel": "if {a} is above {b}, {n} {thing} pass from {a} to {b}, else {n} from {b} to {a}",
            "third": "if {a} is above {b}, {n} {thing} pass from {c} to {a}, else {n} pass from {c} to {b}",
        },
        "What is the score of {a} after the last round?",
        "Round {k}: ",
        "\n",
    ),
    Wording(
        "In the beginning {holdings}; each of them has a jar of {thing}, and no jar is ever shared.",
        "{a} owns {n}",
        {
            "gets": "Then {a} picks up {n} more.",
            "loses": "Then {a} uses up {n} of them.",
            "gives": "Then {a} hands {n} over to {b}.",
            "swaps": "Then {a} takes the jar of {b} and {b} takes the jar of {a}.",
            "doubles": "Then {a} is given as many again as are already in the jar.",
            "duel": "Then, should {a} own more than {b}, {n} go from {a} to {b}, and if not, {n} go from {b} to {a}.",
            "third": "Then, should {a} own more than {b}, {n} go from {c} to {a}, and if not, {n} go from {c} to {b}.",
        },
        "After all of this, how many {thing} are in the jar that {a} holds?",
        "",
        " ",
    ),
    Wording(
        "Accounts are kept in {thing}. Every line is carried out on the balances that the line before left."
        "\nopening balances: {holdings}",
        "{a} = {n}",
        {
            "gets": "add {n} to {a}",
            "loses": "take {n} from {a}",
            "gives": "move {n} from {a} to {b}",
            "swaps": "exchange the balances of {a} and {b}",
            "doubles": "double {a}",
            "duel": "if {a} > {b} then move {n} from {a} to {b} else move {n} from {b} to {a}",
            "third": "if {a} > {b} then move {n} from {c} to {a} else move {n} from {c} to {b}",
        },
        "Which balance does {a} have after the last line?",
        "",
        "\n",
    ),
    Wording(
        "This is a diary about {thing}. On the eve of the first day {holdings}. One thing happened on each day.",
        "{a} possessed {n}",
        {
            "gets": "{a} was sent {n} {thing} by an aunt.",
            "loses": "{a} sold {n} {thing} to a stranger.",
            "gives": "{b} received {n} {thing} from {a}.",
            "swaps": "{a} and {b} traded everything they possessed for everything the other possessed.",
            "doubles": "A stranger gave {a} exactly as many {thing} as {a} possessed.",
            "duel": "{a} and {b} compared: {a}, if ahead of {b}, handed {b} {n} {thing}; if not, {b} handed {a} {n}.",
            "third": "{c} watched {a} and {b}: {a}, if ahead of {b}, got {n} {thing} of {c}; if not, {b} did.",
        },
        "How many {thing} did {a} possess in the evening of the last day?",
        "Day {k}: ",
        "\n",
    ),
)


def make(dice: Dice, level: int, i: int) -> Draft:
    """The answer is `i` modulo 15, and no number of the text: neither the commonest nor a copied number pays."""
    wording, thing = _WORDINGS[i % PUBLIC], dice.choice(GOODS)
    while True:
        story, answer = _story(dice, level)
        body = _text(story, wording, thing)
        if answer % 15 == i % 15 and str(answer) not in re.findall("[0-9]+", body):
            again, used = backwards(read(body))
            if 2 * len(used) >= OPERATIONS[level]:
                break
    return draft(
        body=body,
        form="a whole number",
        target=str(answer),
        again=str(again),
        i=i,
        level=level,
        kind="int",
        size=OPERATIONS[level],
        check="{}",
    )


def _story(dice: Dice, level: int) -> tuple[Story, int]:
    """Draws events that can happen, carrying them out as they come."""
    people = dice.sample(PEOPLE, _PEOPLE[level])
    start = {name: dice.integer(*_AT_FIRST[level]) for name in people}
    conditions = set(dice.sample(range(OPERATIONS[level]), _CONDITIONS[level]))
    now, events = dict(start), []
    for k in range(OPERATIONS[level]):
        event = _event(dice, now, _MOST_MOVED[level], conditional=k in conditions)
        carry_out(event, now)
        events.append(event)
    asked = dice.choice(people)
    return Story(start, tuple(events), asked), now[asked]


def _event(dice: Dice, now: dict[str, int], most: int, *, conditional: bool) -> Event:
    """Nobody ever owes, two who are compared are never equal, and nobody gets rich by doubling."""
    while True:
        kind = dice.choice(("duel", "third")) if conditional else dice.choice(_PLAIN)
        a, b, c = dice.sample(list(now), 3)
        payer = {"duel": a if now[a] > now[b] else b, "third": c}.get(kind, a)
        n = dice.integer(2, most)
        if kind in ("gives", "loses", "duel", "third") and now[payer] < n:
            continue
        if kind in ("duel", "third") and now[a] == now[b]:
            continue
        if kind == "doubles" and not 0 < 2 * now[a] <= _RICHEST // 2:
            continue
        return Event(kind, a, b, c, n)


def carry_out(event: Event, now: dict[str, int]) -> None:
    """First solver: forwards, changing the purses."""
    a, b, c, n = event.a, event.b, event.c, event.n
    match event.kind:
        case "gets" | "loses":
            now[a] += n if event.kind == "gets" else -n
        case "gives":
            now[a], now[b] = now[a] - n, now[b] + n
        case "swaps":
            now[a], now[b] = now[b], now[a]
        case "doubles":
            now[a] *= 2
        case "duel":
            giver, taker = (a, b) if now[a] > now[b] else (b, a)
            now[giver], now[taker] = now[giver] - n, now[taker] + n
        case "third":
            taker = a if now[a] > now[b] else b
            now[c], now[taker] = now[c] - n, now[taker] + n


def backwards(story: Story) -> tuple[int, set[int]]:
    """Second solver: asks from the end what each purse held before; also which events had a part in the answer."""
    used: set[int] = set()

    @cache
    def held(who: str, k: int) -> int:
        if k == 0:
            return story.start[who]
        change = _change(story.events[k - 1], who, lambda other: held(other, k - 1))
        if change is None:
            return held(who, k - 1)
        used.add(k)
        return change

    return held(story.asked, len(story.events)), used


def _change(event: Event, who: str, before: Callable[[str], int]) -> int | None:
    """What `who` holds after the event, or None if it is none of their business."""
    a, b, c, n = event.a, event.b, event.c, event.n
    match event.kind:
        case "gets" | "loses" | "gives" if who == a:
            return before(a) + (n if event.kind == "gets" else -n)
        case "gives" if who == b:
            return before(b) + n
        case "swaps" if who in (a, b):
            return before(b if who == a else a)
        case "doubles" if who == a:
            return before(a) + before(a)
        case "duel" if who in (a, b):
            pays = (who == a) is (before(a) > before(b))
            return before(who) - n if pays else before(who) + n
        case "third" if who == c:
            return before(c) - n
        case "third" if who in (a, b):
            wins = (who == a) is (before(a) > before(b))
            return before(who) + n * wins
    return None


def _text(story: Story, wording: Wording, thing: str) -> str:
    each = [wording.start.format(a=name, n=n) for name, n in story.start.items()]
    holdings = ", ".join(each[:-1]) + " and " + each[-1]
    said = [wording.lines[e.kind].format(a=e.a, b=e.b, c=e.c, n=e.n, thing=thing) for e in story.events]
    events = wording.joint.join(wording.numbering.format(k=k) + line for k, line in enumerate(said, 1))
    question = wording.question.format(a=story.asked, thing=thing)
    return f"{wording.intro.format(thing=thing, holdings=holdings)}\n\n{events}\n\n{question}"


def read(body: str) -> Story:
    """The story again, from its text alone."""
    intro, events, question = body.split("\n\n")
    (wording,) = (w for w in _WORDINGS if pattern(w.question).fullmatch(question))
    holdings = re.split(", | and ", _parts(wording.intro, intro)["holdings"])
    templates = {kind: wording.numbering + line for kind, line in wording.lines.items()}
    return Story(
        {one["a"]: int(one["n"]) for one in (_parts(wording.start, text) for text in holdings)},
        tuple(_event_of(*read_back(templates, line)) for line in re.split("\n|(?<=\\.) (?=Then)", events)),
        _parts(wording.question, question)["a"],
    )


def _parts(template: str, text: str) -> dict[str, str]:
    return read_back({"": template}, text)[1]


def _event_of(kind: str, parts: dict[str, str]) -> Event:
    return Event(kind, parts["a"], parts.get("b", ""), parts.get("c", ""), int(parts.get("n", 0)))


def _spellings(item: Item) -> Sequence[str]:
    return (*spellings(item), f"Answer: {int(item.target):,} of them", f"I get {item.target} + 0 = {item.target}")


def _mutants(item: Item) -> Sequence[str]:
    """One off, the last event forgotten, every condition taken as true, another person's amount, a list of amounts."""
    story = read(body_of(item.prompt))
    now, careless, late = dict(story.start), dict(story.start), dict(story.start)
    for event in story.events:
        late = dict(now)
        carry_out(event, now)
        carry_out(Event("gives", event.a, event.b, "", event.n) if event.kind == "duel" else event, careless)
    near = [now[story.asked] + 1, now[story.asked] - 1, late[story.asked], careless[story.asked], *now.values()]
    listed = ", ".join(f"{name} {n}" for name, n in now.items())
    wrong = [f"Answer: {n}" for n in dict.fromkeys(near) if str(n) != item.target]
    return (*wrong, *non_answers(item), f"Answer: {listed}", f"Answer: {item.target} or {near[0]}")


TASKS = (
    Task(
        name="core_ledger",
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
