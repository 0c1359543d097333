"""`core_hops`: follow a chain of relations through a shuffled list of invented facts; measures multi-hop retrieval."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.items import Draft, Item, Task
from bench.items.dice import Dice
from bench.items.wordings import PUBLIC, body_of, draft, non_answers, pattern, read_back, spellings
from bench.items.words import FAMILIES, PEOPLE, TOWNS
from bench.scoring.extract import grade

HOPS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FACTS = {1: 10, 2: 20, 3: 40, 4: 60, 5: 90, 6: 140}
_BETWEEN_PEOPLE = ("mentor", "landlord", "tailor", "banker", "doctor", "lawyer")
_HOME, _MAYOR = "hometown", "mayor"

Fact = tuple[str, str, str]
"""(subject, relation, object): "Mira Abrant's mentor is Talo Bardow."; a subject has each relation once at most."""


@dataclass(frozen=True)
class Hop:
    relation: str
    inverse: bool = False
    """Not "the mentor of X" but "the person whose mentor is X"."""


@dataclass(frozen=True)
class Wording:
    intro: str
    fact: str
    joint: str
    question: str
    forward: str
    inverse: str


_NESTED = ("the {relation} of ", "the person whose {relation} is ")
_WORDINGS = (
    Wording("Here are all the facts there are.", "{s}'s {relation} is {o}.", " ", "Who is {chain}?", *_NESTED),
    Wording(
        "Read the notes below; they are complete, and their order means nothing.",
        "- The {relation} of {s} is {o}.",
        "\n",
        "Give the full name of {chain}.",
        *_NESTED,
    ),
    Wording(
        "A clerk wrote these cards, and no others (subject / relation / object):",
        "{s} / {relation} / {o}",
        "\n",
        "Which full name belongs to {chain}?",
        "the {relation} of ",
        "the subject whose {relation} is ",
    ),
    Wording(
        "This is everything that is known about the people of a district:",
        "{o} is the {relation} of {s}.",
        " ",
        "From this, what is the full name of {chain}?",
        *_NESTED,
    ),
    Wording(
        "All entries of a register follow.",
        "{s} has {o} as {relation}.",
        "\n",
        "Begin with {start}. {chain}Whose name have you reached?",
        "Go on to the {relation} of the one you have. ",
        "Go on to the person who has the one you have as {relation}. ",
    ),
)
_STEPWISE = _WORDINGS[4]


@dataclass(frozen=True)
class Puzzle:
    facts: tuple[Fact, ...]
    start: str
    hops: tuple[Hop, ...]


class World:
    """Facts under construction: a subject has a relation once, and what was asked inversely gets no second subject."""

    def __init__(self, dice: Dice, level: int) -> None:
        self.dice, self.most = dice, _FACTS[level]
        self.people = _people(dice, 3 * self.most // 4 + 6, namesakes=level > 2)
        self.towns = dice.sample(TOWNS, 3 + self.most // 12)
        self.objects: dict[tuple[str, str], str] = {}
        self.closed: set[tuple[str, str]] = set()

    def add(self, subject: str, relation: str, target: str) -> bool:
        """False, and nothing done, where the fact would spoil another or the world is full."""
        taken = (subject, relation) in self.objects or (relation, target) in self.closed
        if taken or subject == target or len(self.objects) == self.most:
            return False
        self.objects[subject, relation] = target
        return True

    def other(self, subject: str) -> tuple[str, str]:
        """A relation that `subject` could have, and an object for it."""
        if subject in self.towns:
            return _MAYOR, self.dice.choice(self.people)
        relation = self.dice.choice((*_BETWEEN_PEOPLE, _HOME))
        return relation, self.dice.choice(self.towns if relation == _HOME else self.people)

    def facts(self) -> list[Fact]:
        return [(subject, relation, target) for (subject, relation), target in self.objects.items()]


def make(dice: Dice, level: int, i: int) -> Draft:
    wording = _WORDINGS[i % PUBLIC]
    while True:
        drawn = _puzzle(dice, level)
        if drawn is not None and not _stands_out(*drawn):
            break
    puzzle, answer = drawn
    body = _text(puzzle, wording)
    named = sorted({name for s, _, o in puzzle.facts for name in (s, o)})
    return draft(
        body=body,
        form="a full name",
        target=answer,
        again=by_joining(read(body)),
        i=i,
        level=level,
        kind="name",
        size=HOPS[level],
        check=json.dumps({"names": named}),
    )


def _puzzle(dice: Dice, level: int) -> tuple[Puzzle, str] | None:
    """First solver: the chain is walked while it is laid. None where two facts got into each other's way."""
    world = World(dice, level)
    hops = _hops(dice, level)
    nodes = [here := dice.choice(world.people)]
    for hop in hops:
        fresh = [name for name in (world.towns if hop.relation == _HOME else world.people) if name not in nodes]
        there = dice.choice(fresh)
        subject, target = (there, here) if hop.inverse else (here, there)
        if not world.add(subject, hop.relation, target):
            return None
        if hop.inverse:
            world.closed.add((hop.relation, here))
        nodes.append(here := there)
    _distract(dice, world, nodes, hops)
    while len(world.objects) < world.most:
        subject = dice.choice(world.towns if dice.chance(1, 8) else world.people)
        world.add(subject, *world.other(subject))
    return Puzzle(tuple(dice.shuffled(world.facts())), nodes[0], hops), nodes[-1]


def _hops(dice: Dice, level: int) -> tuple[Hop, ...]:
    """One way over a town from two hops on, one inverse relation from level 3 on; no hop undoes the one before."""
    n = HOPS[level]
    while True:
        hops = [Hop(dice.choice(_BETWEEN_PEOPLE)) for _ in range(n)]
        if n > 1 and dice.chance(1, 2):
            at = dice.below(n - 1)
            hops[at : at + 2] = [Hop(_HOME), Hop(_MAYOR)]
        if level > 2:
            at = dice.choice([k for k, hop in enumerate(hops) if hop.relation in _BETWEEN_PEOPLE])
            hops[at] = Hop(hops[at].relation, inverse=True)
        if not any((a.inverse or b.inverse) and a.relation == b.relation for a, b in pairwise(hops)):
            return tuple(hops)


def _distract(dice: Dice, world: World, nodes: list[str], hops: tuple[Hop, ...]) -> None:
    """Beside each link: another relation of the same subject, the same relation of a namesake, the inverse misread."""
    world.add(dice.choice(world.people), dice.choice(_BETWEEN_PEOPLE), nodes[-1])
    for node, hop in zip(nodes, hops, strict=False):
        world.add(node, *world.other(node))
        if hop.inverse:
            world.add(node, hop.relation, dice.choice(world.people))
        for namesake in [name for name in world.people if name.split()[0] == node.split()[0] and name not in nodes][:1]:
            world.add(namesake, hop.relation, dice.choice(world.towns if hop.relation == _HOME else world.people))


def _people(dice: Dice, n: int, *, namesakes: bool) -> list[str]:
    """Full names; with namesakes, a first name belongs to two people on average."""
    firsts = dice.sample(PEOPLE, min(n // 2, len(PEOPLE)) if namesakes else n)
    people: dict[str, None] = {}
    while len(people) < n:
        first = dice.choice(firsts) if namesakes else firsts[len(people)]
        people[f"{first} {dice.choice(FAMILIES)}"] = None
    return list(people)


def _stands_out(puzzle: Puzzle, answer: str) -> bool:
    """Whether the answer is the name most often mentioned, or mentioned once: either could be guessed unread."""
    mentions = [name for s, _, o in puzzle.facts for name in (s, o)]
    most = max(mentions.count(name) for name in set(mentions))
    return not 1 < mentions.count(answer) < most


def by_joining(puzzle: Puzzle) -> str:
    """Second solver: the relations joined for everybody at once, then the one row of the person asked about."""
    rows = {(name, name) for s, _, o in puzzle.facts for name in (s, o)}
    for hop in puzzle.hops:
        step: dict[str, list[str]] = {}
        for s, relation, o in puzzle.facts:
            if relation == hop.relation:
                step.setdefault(o if hop.inverse else s, []).append(s if hop.inverse else o)
        rows = {(first, after) for first, last in rows for after in step.get(last, [])}
    (answer,) = (last for first, last in rows if first == puzzle.start)
    return answer


def _text(puzzle: Puzzle, wording: Wording) -> str:
    facts = wording.joint.join(wording.fact.format(s=s, relation=relation, o=o) for s, relation, o in puzzle.facts)
    said = [(wording.inverse if hop.inverse else wording.forward).format(relation=hop.relation) for hop in puzzle.hops]
    chain = "".join(said) if wording is _STEPWISE else "".join(reversed(said)) + puzzle.start
    return f"{wording.intro}\n\n{facts}\n\n{wording.question.format(chain=chain, start=puzzle.start)}"


def read(body: str) -> Puzzle:
    """The puzzle again, from its text alone."""
    intro, facts, question = body.split("\n\n")
    (wording,) = (w for w in _WORDINGS if w.intro == intro)
    found = [read_back({"": wording.fact}, one)[1] for one in re.split("\n|(?<=\\.) ", facts)]
    asked = read_back({"": wording.question}, question)[1]
    hops, rest = [], asked["chain"]
    while said := pattern(wording.forward).match(rest) or pattern(wording.inverse).match(rest):
        hops.append(Hop(said["relation"], inverse=pattern(wording.inverse).match(rest) is not None))
        rest = rest[said.end() :]
    return Puzzle(
        tuple((one["s"], one["relation"], one["o"]) for one in found),
        asked.get("start") or rest,
        tuple(hops if wording is _STEPWISE else reversed(hops)),
    )


def _spellings(item: Item) -> Sequence[str]:
    t = item.target
    return (*spellings(item), f"Answer: {t.lower()}", f"Answer: It is {t}, after all the steps.", f"So it must be {t}.")


def _mutants(item: Item) -> Sequence[str]:
    """Stopped early, started late, the inverse misread, a namesake, somebody else, two people at once."""
    puzzle, names = read(body_of(item.prompt)), json.loads(item.check)["names"]
    first, family = item.target.split()
    alike = [name for name in names if first in name or family in name]
    near = [puzzle.start, *_wrong_ways(puzzle), *alike, *names[:3], f"{first} Nobody", first]
    wrong = [f"Answer: {name}" for name in dict.fromkeys(near) if name != item.target]
    return (*wrong, *non_answers(item), f"Answer: {item.target} or {wrong[0].removeprefix('Answer: ')}")


def _wrong_ways(puzzle: Puzzle) -> list[str]:
    """Where one ends who leaves out the last hop, the first hop, or takes every relation forwards."""
    forwards = tuple(Hop(hop.relation) for hop in puzzle.hops)
    ends = []
    for hops in (puzzle.hops[:-1], puzzle.hops[1:], forwards):
        objects = {(s, relation): o for s, relation, o in puzzle.facts}
        objects |= {(o, f"inverse {relation}"): s for s, relation, o in puzzle.facts}
        here: str | None = puzzle.start
        for hop in hops:
            here = objects.get((here or "", f"inverse {hop.relation}" if hop.inverse else hop.relation))
        ends += [here] if here else []
    return ends


TASKS = (
    Task(
        name="core_hops",
        version=1,
        levels=(1, 2, 3, 4, 5),
        per_level=30,
        chance=0.05,
        max_gen_toks=2048,
        make=make,
        grade=grade,
        mutants=_mutants,
        spellings=_spellings,
    ),
)
