"""Whether a finished run still has all its parts: attempts, samples, scores, and the samples that were counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import RunError

if TYPE_CHECKING:
    from bench.runs.folder import Header

JUDGE_AGAIN = "run the same command again: it is judged anew, and nothing that is answered is asked again"


def check_parts(
    path: Path, header: Header, *, n_requests: int, samples: Sequence[dict[str, Any]], scores: Sequence[dict[str, Any]]
) -> None:
    """RunError when a finished quality run lacks a part: a report would pass off what is left as the whole."""
    if header.status != "finished" or header.kind != "quality":
        return
    if not n_requests:
        raise RunError(
            f"{path / 'requests.parquet'}: no attempts, though the run is finished; restore the file from a copy, "
            "or run the same command again to ask again"
        )
    for name, rows in (("samples.jsonl", samples), ("scores.json", scores)):
        if not rows:
            raise RunError(f"{path / name}: missing or empty, though the run is finished; {JUDGE_AGAIN}")
    counts = {(row.get("task"), row.get("metric")): (row.get("n"), row.get("n_unscored")) for row in scores}
    for key, found in _counted(samples).items():
        if counts.get(key) != found:
            raise RunError(f"{path / 'samples.jsonl'}: not the samples that scores.json counted; {JUDGE_AGAIN}")
    lost = {task for task, _ in counts} - {row.get("task") for row in samples} - {"macro"}
    if lost:
        raise RunError(f"{path / 'samples.jsonl'}: no samples of task {min(map(str, lost))}; {JUDGE_AGAIN}")


def _counted(samples: Sequence[dict[str, Any]]) -> dict[tuple[Any, Any], tuple[int, int]]:
    """By task and metric: items with a score, and scores that are missing, as `bench.stats.scores` counts them."""
    items: dict[tuple[Any, Any], set[Any]] = {}
    unscored: Counter[tuple[Any, Any]] = Counter()
    for row in samples:
        key = (row.get("task"), row.get("metric"))
        scored = row.get("state") == "refused" or (row.get("state") == "scored" and row.get("value") is not None)
        items.setdefault(key, set())
        if scored:
            items[key].add(row.get("item_id"))
        else:
            unscored[key] += 1
    return {key: (len(found), unscored[key]) for key, found in items.items()}
