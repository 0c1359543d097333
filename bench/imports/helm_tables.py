"""The leaderboards that `helm-summarize` writes: tables of models and scenarios, in `groups`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.imports import evaluated
from bench.imports.nouns import items, mapping
from bench.imports.tabular import Tally, slug

OWN: Mapping[str, tuple[str, int]] = {
    "BoolQ": ("boolq", 1),
    "GSM8K": ("gsm8k", 1),
    "HellaSwag": ("hellaswag", 1),
    "IFEval": ("ifeval", 1),
    "MMLU": ("mmlu", 57),
    "MMLU-Pro": ("mmlu-pro", 1),
    "OpenbookQA": ("openbookqa", 1),
    "TruthfulQA": ("truthfulqa-mc1", 1),
}
"""Columns that are whole benchmarks of ours, and of how many runs at least: HELM Lite's MMLU is 5 subjects of 57."""
ACCURACY = frozenset(("EM", "Exact match", "Quasi-exact match", "COT correct", "IFEval Strict Acc"))
NOT_BETTER = "a cell of no score: counts, times, or less is better"
OF_ONE = "a cell of one scenario's own table, which the overview repeats"
RELATIVE = "a cell relative to the other models (win rate, mean score)"
PERTURBED = "a cell of perturbed items (robustness, fairness)"
EMPTY = "an empty cell"
AGAIN = "a cell that another table has, too"


@dataclass(frozen=True, kw_only=True)
class Column:
    """What is above a column of scores."""

    group: str
    metric: str


def is_tables(content: Any) -> bool:
    """Whether a JSON file is one table of HELM's, or a list of them."""
    tables = content if isinstance(content, list) else [content]
    return bool(tables) and all(
        isinstance(table, dict)
        and isinstance(table.get("header"), list)
        and isinstance(table.get("rows"), list)
        and "value" in mapping(next(iter(table["header"]), None))
        for table in tables
    )


def scores(
    content: Any, source: str, observed: str | None, seen: set[Any], tally: Tally
) -> Iterator[Mapping[str, Any]]:
    """A row per cell of the overviews; each cell beside the model's name is counted."""
    for table in content if isinstance(content, list) else [content]:
        columns = [_column(mapping(cell)) for cell in items(mapping(table).get("header"))]
        for row in items(mapping(table).get("rows")):
            cells = [mapping(cell) for cell in items(row)]
            model = evaluated.name(cells[0].get("value")) if cells else None
            for column, cell in zip(columns[1:], cells[1:], strict=False):
                found = _score(model, column, cell)
                if isinstance(found, str):
                    tally.skip(found)
                elif (key := (found["model"], found["benchmark"], found["score"])) in seen:
                    tally.skip(AGAIN)
                else:
                    seen.add(key)
                    tally.keep()
                    yield {**found, **evaluated.row(source=source, observed=observed)}


def _column(header: Mapping[str, Any]) -> Column | str:
    """Whose scores a column holds; why it is not taken, else."""
    about = mapping(header.get("metadata"))
    group, metric = evaluated.name(about.get("run_group")), evaluated.name(about.get("metric"))
    if group is None or metric is None:
        return RELATIVE
    if about.get("perturbation"):
        return PERTURBED
    if header.get("lower_is_better") is not False:
        return NOT_BETTER
    return Column(group=group, metric=metric) if " - " in str(header.get("value")) else OF_ONE


def _score(model: str | None, column: Column | str, cell: Mapping[str, Any]) -> Mapping[str, Any] | str:
    if isinstance(column, str):
        return column
    value = cell.get("value")
    if model is None or value is None:
        return EMPTY
    found = evaluated.figure(value)
    if isinstance(found, str):
        return found
    n_runs = len(items(cell.get("run_spec_names")))
    own, least = OWN.get(column.group, (None, 1))
    known = own if column.metric in ACCURACY and max(n_runs, 1) >= least and 0 <= found <= 1 else None
    return evaluated.row(
        model=model,
        benchmark=known or slug(f"helm-{column.group}-{column.metric}"),
        score=found,
        scale="proportion" if 0 <= found <= 1 else "points",
        scaffold=evaluated.scaffold("HELM", column.metric, f"pooled over {n_runs} runs" if n_runs > 1 else None),
    )
