"""Writes `tasks/README.md`: a page per task with one item per level. `python -m bench.items.pages`."""

from __future__ import annotations

from collections.abc import Iterator

from bench.items import Item, Task, items_file, read, tasks
from bench.items.files import tasks_dir

_ABOUT = {
    "core_ledger": (
        "Who owns how much after a list of gives, finds, losses, swaps, doublings and conditions. Sizes: 3, 8, 16, "
        "32, 64 events among 3, 3, 5, 6, 8 people. Solved forwards by carrying the events out, and backwards from "
        "the finished text by asking what each purse held before. The answer is never a number of the text."
    ),
    "core_rewrite": (
        "Ordered rules on a string of a, b and c, applied until none fits. Sizes: 1–3, 3–6, 7–12, 13–20, 21–36 "
        "steps with 2 to 6 rules. Solved by searching, and from the finished text position by position. From three "
        "rules on, the order of the rules changes the answer or the rules upside down never end."
    ),
    "core_hops": (
        "A chain of relations through a complete, shuffled list of invented facts, with namesakes and one inverse "
        "relation from level 3 on. Sizes: 1, 2, 3, 4, 6 hops through 10, 20, 40, 60, 90 facts. Solved while it is "
        "laid, and from the finished text by joining whole relations. The answer is neither the name mentioned "
        "most nor one mentioned once."
    ),
    "quick_copy": "Repeat 3, 6, 10 letters.",
    "quick_reverse": "Reverse 3, 5, 8 letters.",
    "quick_sort": "Put 3, 5, 8 different letters in alphabetical order.",
    "quick_count": "How often a letter stands among 6, 10, 16; the answers 0 to 6 come up equally often.",
    "quick_add": "Add two numbers of 1 and 1, 2 and 1, 2 and 2 digits.",
    "quick_sub": "Subtract likewise; never below zero.",
    "quick_brackets": "Whether 4, 8, 12 brackets balance; half do, the others are one swap away from it.",
    "quick_max": "The largest of 2, 4, 6 two-digit numbers.",
}
_HEAD = """# The tasks

This page is written by `python -m bench.items.pages`; change the tasks, not the page.

Every item is made by a generator in `bench/items/`, from a seed, together with its answer; a second, independent solver
must agree before the item exists. No item, sentence or label comes from an existing set, nobody annotated anything, and
no model judges anything. The item files are dedicated to the public domain (CC0 1.0); the code is Apache-2.0. People,
towns and things come from word lists of our own (`bench/items/words.py`).

**Not measured here:** agents over several turns, knowledge of the world, hallucination, other languages, images, taste.

`frozen-1.jsonl` is committed and its SHA-256 stands in the suite (`suites/*.toml`). It is public, so it will end up in
training data; fresh items of the same distribution are drawn with `bench tasks fresh`.
Each line of a file has `id, task, level, cluster, prompt, target, kind, check, witness, size, tokens_in`.

`acc` reads an answer as a patient reader would (Markdown, boxes, units), `acc_strict` only in the very form that was
asked for; both are in [0, 1] and both are stored. Failed, empty and cut-off replies are unscored, not wrong.

To add a task: a module in `bench/items/` that defines `TASKS`, a YAML beside the others,
`python -m bench.items.freeze`, a line in `bench/items/pages.py`, and a line in a suite whose version is raised.
"""


def page() -> str:
    """The whole README, from the frozen files."""
    by_suite = {"quick": "one-line questions for very small models", "core": "the trend line; provisional"}
    parts = [_HEAD]
    for suite, meaning in by_suite.items():
        parts.append(f"\n# {suite}: {meaning}\n")
        parts += [_section(task) for name, task in tasks().items() if name.startswith(f"{suite}_")]
    return "".join(parts)


def _section(task: Task) -> str:
    items = read(items_file(task.name))
    facts = f"{len(items)} items, {len(task.levels)} levels, chance {task.chance:.2f}, up to {task.max_gen_toks} tokens"
    clusters = len({item.cluster for item in items})
    return f"\n## {task.name}\n\n{_ABOUT[task.name]}\n{facts}, {clusters} clusters.\n" + "".join(_examples(task, items))


def _examples(task: Task, items: list[Item]) -> Iterator[str]:
    """One item per level, each core level in another wording; one-line questions stay one line."""
    yield "\n"
    for level in task.levels:
        item = [item for item in items if item.level == level][level - 1]
        if item.prompt.count("\n") == 1:
            yield f"- level {level}: `{item.prompt.splitlines()[0]}` → `{item.target}`\n"
        else:
            yield f"Level {level}, `{item.id}`\n\n```text\n{item.prompt}\n```\n\n→ `{item.target}`\n\n"


if __name__ == "__main__":
    (tasks_dir() / "README.md").write_text(page(), encoding="utf-8")
