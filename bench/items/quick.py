"""The eight `quick` tasks: one-line questions for decoders of a million parameters; a smoke test for any chat model.

Prompts are at most 48 characters of `a-z 0-9 space ( ) [ ] + - = : ? newline` and end with `Answer:`. Items of a task
share nothing but their level, which is chosen and not drawn, so each is its own cluster. Strict and lenient reading are
the same: the first line, exactly.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.items import Draft, Graded, Item, Task
from bench.items.dice import Dice
from bench.items.draw import build, fingerprint

LETTERS = string.ascii_lowercase
_PAIRS = ("()", "[]")


def training_pairs(
    seed: str, n: int, held_out: frozenset[str], mix: Sequence[tuple[str, int]] = ()
) -> Iterator[tuple[str, str, str, int]]:
    """n of (task, prompt, answer, level) from one stream, none of whose prompts has its `fingerprint` in `held_out`.

    `mix` lists (task, level) cells, drawn uniformly: name one twice to weigh it double. Empty = all cells alike.
    """
    if not seed.startswith("train-"):
        raise ValueError(f"seed {seed!r}: training draws from seeds train-*, never from those of a suite")
    by_name = {task.name: task for task in TASKS}
    cells = mix or [(task.name, level) for task in TASKS for level in task.levels]
    dice = Dice(seed)
    for _ in range(n):
        name, level = dice.choice(cells)
        draft = by_name[name].make(dice, level, i := dice.below(210))
        while fingerprint(draft.prompt) in held_out:  # again with the same parity: as many yes as no remain
            draft = by_name[name].make(dice, level, i % 2 + 2 * dice.below(105))
        yield name, draft.prompt, draft.target, level


def held_out(seed: str = "frozen-1") -> frozenset[str]:
    """Fingerprints of every prompt of the suite drawn from `seed`."""
    return frozenset(fingerprint(item.prompt) for task in TASKS for item in build(task, seed))


def first_line(text: str) -> str:
    """The answer as we read it: first line that is not blank, an optional `Answer:` off, lower case."""
    line = text.strip().partition("\n")[0].strip().casefold()
    return line.removeprefix("answer:").strip()


def grade(item: Item, text: str) -> Graded:
    """Exact match of the first line; for `letters`, blanks and commas between the letters are not held against it."""
    answer = first_line(text)
    if item.kind == "letters":
        answer = answer.replace(" ", "").replace(",", "")
    right = answer == item.target
    return Graded(
        value=float(right),
        value_strict=float(right),
        state="scored",
        reason="right" if right else "wrong" if answer else "no_answer",
        answer=answer or None,
        expected=item.target,
    )


# --- the eight generators: each computes its answer twice, by ways that share no code -------------------------------


def _copy(dice: Dice, level: int, i: int) -> Draft:
    n = (3, 6, 10)[level - 1]
    word = _word(dice, n)
    prompt = f"copy: {word}"
    return _draft(prompt, word, prompt.split(": ")[1], level, i, size=n, kind="letters")


def _reverse(dice: Dice, level: int, i: int) -> Draft:
    n = (3, 5, 8)[level - 1]
    word = _word(dice, n)
    while word == word[::-1]:
        word = _word(dice, n)
    return _draft(f"reverse: {word}", word[::-1], "".join(word[-k] for k in range(1, n + 1)), level, i, n, "letters")


def _sort(dice: Dice, level: int, i: int) -> Draft:
    n = (3, 5, 8)[level - 1]
    drawn = dice.sample(LETTERS, n)
    by_alphabet = "".join(letter for letter in LETTERS if letter in drawn)
    return _draft(f"sort: {' '.join(drawn)}", "".join(sorted(drawn)), by_alphabet, level, i, size=n, kind="letters")


def _count(dice: Dice, level: int, i: int) -> Draft:
    """The answer is fixed by the item's place in the file, so 0 to 6 come up equally often."""
    n, times = (6, 10, 16)[level - 1], ((level - 1) * 10 + i) % 7
    letter = dice.choice(LETTERS)
    others = LETTERS.replace(letter, "")
    word = "".join(dice.shuffled([letter] * times + [dice.choice(others) for _ in range(n - times)]))
    return _draft(f"count {letter}: {word}", str(times), str(n - len(word.replace(letter, ""))), level, i, size=n)


def _add(dice: Dice, level: int, i: int) -> Draft:
    """The last digit of the answer is that of `i`: no answer is common enough to guess."""
    a, b = _operands(dice, level)
    while (a + b - i) % 10:
        a, b = _operands(dice, level)
    return _draft(f"{a}+{b}=", str(a + b), _column_sum(str(a), str(b)), level, i, size=(2, 3, 4)[level - 1])


def _sub(dice: Dice, level: int, i: int) -> Draft:
    a, b = _operands(dice, level)
    while a < b or (a - b - i) % 10:
        a, b = _operands(dice, level)
    counted_up = next(c for c in range(100) if b + c == a)
    return _draft(f"{a}-{b}=", str(a - b), str(counted_up), level, i, size=(2, 3, 4)[level - 1])


def _brackets(dice: Dice, level: int, i: int) -> Draft:
    """Even items are balanced; odd ones are a balanced string spoilt by one swap of two signs."""
    n = (4, 8, 12)[level - 1]
    signs = _balanced(dice, n)
    if i % 2:
        signs = _spoilt(dice, signs)
    by_stack, by_rewriting = _closes(signs), _rewrites_to_nothing(signs)
    words = {True: "yes", False: "no"}
    if by_stack == bool(i % 2):
        raise AssertionError(f"{signs!r} is not what item {i} asked for")
    return _draft(f"balanced? {signs}", words[by_stack], words[by_rewriting], level, i, size=n)


def _max(dice: Dice, level: int, i: int) -> Draft:
    n = (2, 4, 6)[level - 1]
    numbers = dice.sample(range(10, 100), n)
    beats_all = next(a for a in numbers if all(a >= b for b in numbers))
    return _draft(f"max: {' '.join(map(str, numbers))}", str(max(numbers)), str(beats_all), level, i, size=n)


# --- what they are made of --------------------------------------------------------------------------------------------


def _draft(prompt: str, answer: str, again: str, level: int, i: int, size: int, kind: str = "line") -> Draft:
    """`answer` and `again` are the two computations; they must agree before anybody is asked."""
    if answer != again:
        raise AssertionError(f"{prompt!r}: one method says {answer!r}, the other {again!r}")
    full = f"{prompt}\nAnswer:"
    return Draft(prompt=full, target=answer, cluster=f"{level}/{i:03d}", kind=kind, size=size, witness=answer)


def _word(dice: Dice, n: int) -> str:
    return "".join(dice.choice(LETTERS) for _ in range(n))


def _operands(dice: Dice, level: int) -> tuple[int, int]:
    """1 and 1, 2 and 1, 2 and 2 digits."""
    a = dice.below(10) if level == 1 else dice.integer(10, 99)
    b = dice.below(10) if level < 3 else dice.integer(10, 99)
    return a, b


def _column_sum(a: str, b: str) -> str:
    """Addition on paper, digit by digit from the right."""
    carry, out = 0, ""
    for x, y in zip(reversed(a.zfill(2)), reversed(b.zfill(2)), strict=True):
        carry, digit = divmod(int(x) + int(y) + carry, 10)
        out = f"{digit}{out}"
    return (f"{carry}{out}").lstrip("0") or "0"


def _balanced(dice: Dice, n: int) -> str:
    """n signs: at each place open or close, as chance and the room left allow."""
    out, waiting = "", ""
    for place in range(n):
        must_open, must_close = not waiting, len(waiting) == n - place
        if must_open or (not must_close and dice.chance(1, 2)):
            pair = dice.choice(_PAIRS)
            out, waiting = out + pair[0], pair[1] + waiting
        else:
            out, waiting = out + waiting[0], waiting[1:]
    return out


def _spoilt(dice: Dice, signs: str) -> str:
    while True:
        j, k = dice.sample(range(len(signs)), 2)
        swapped = list(signs)
        swapped[j], swapped[k] = swapped[k], swapped[j]
        if not _closes("".join(swapped)):
            return "".join(swapped)


def _closes(signs: str) -> bool:
    waiting: list[str] = []
    for sign in signs:
        if sign in "([":
            waiting.append(")" if sign == "(" else "]")
        elif not waiting or waiting.pop() != sign:
            return False
    return not waiting


def _rewrites_to_nothing(signs: str) -> bool:
    for _ in range(len(signs)):
        signs = signs.replace("()", "").replace("[]", "")
    return not signs


def _spellings(item: Item) -> Sequence[str]:
    spaced = " ".join(item.target) if item.kind == "letters" else f"{item.target} "
    return (item.witness, f" {item.target}\nsort: x y", f"Answer: {item.target}", f"\n{item.target.upper()}\n", spaced)


def _mutants(item: Item) -> Sequence[str]:
    target = item.target
    if target in ("yes", "no"):
        return ("no" if target == "yes" else "yes", f"not {target}", "yes no", "")
    nudged = chr(ord(target[-1]) + 1) if target[-1] not in "z9" else chr(ord(target[-1]) - 1)
    return (target[:-1] + nudged, target + target[-1], target[:-1], f"x\n{target}", f"{target} or {nudged}", "")


def _task(name: str, chance: float, make: Callable[[Dice, int, int], Draft]) -> Task:
    return partial(
        Task,
        version=1,
        levels=(1, 2, 3),
        per_level=10,
        max_gen_toks=16,
        grade=grade,
        mutants=_mutants,
        spellings=_spellings,
    )(name=name, chance=chance, make=make)


TASKS = (
    _task("quick_copy", 0.0, _copy),
    _task("quick_reverse", 0.0, _reverse),
    _task("quick_sort", (1 / 6 + 1 / 120) / 3, _sort),
    _task("quick_count", 5 / 30, _count),
    _task("quick_add", 0.04, _add),
    _task("quick_sub", 0.04, _sub),
    _task("quick_brackets", 0.5, _brackets),
    _task("quick_max", (1 / 2 + 1 / 4 + 1 / 6) / 3, _max),
)
