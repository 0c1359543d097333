"""Which targets suffice for a use case: the evidence in the store, and the answer from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.asked import tasks_of
from bench.analysis.evidence import evidence, must_be_known
from bench.choice.answer import Answer, Since
from bench.choice.nouns import Candidate
from bench.choice.verdict import known, may_run, verdicts

if TYPE_CHECKING:
    import pandas

    from bench.catalog.use_case import UseCase

CHOICE_COLUMNS = (
    "target", "layer", "provider", "open", "model", "state", "certainty_all", "usd_per_task",
    "criterion", "wanted", "direction", "value", "ci_low", "ci_high", "certainty", "criterion_state", "n", "more",
    "why", "evidence",
)  # fmt: skip


def choose(results: Path, use_case: UseCase, *, certainty: float | None = None) -> Answer:
    """Which targets suffice today, the cheapest per layer, and since when an open one does.

    From the newest run of each target and suite; nothing is asked of anybody. `certainty` replaces the use case's own.
    """
    wanted = use_case.certainty if certainty is None else certainty
    found = evidence(results, tasks_of(results, use_case))
    if wish := use_case.quality.of:
        must_be_known(wish, found, "quality.of")
    judged = tuple(verdicts(known(found), use_case, wanted))
    left_out: dict[str, list[str]] = {}
    for one in found.candidates:
        if not may_run(one, use_case):
            left_out.setdefault(f"layer {one.layer or 'hosted'} is not among the use case's", []).append(one.target)
    since = open_since(results, use_case, [v.candidate for v in judged if v.state == "suffices"])
    return Answer(use_case=use_case, certainty=wanted, verdicts=judged, left_out=left_out, since=since)


def criteria(answer: Answer) -> pandas.DataFrame:
    """One row per target and criterion, in the order of the answer; CHOICE_COLUMNS."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for told in answer.as_dict()["targets"]:
        whose = {name: told[name] for name in CHOICE_COLUMNS[:6]}
        for row in told["criteria"]:
            mine = {"criterion": row["name"], "criterion_state": row["state"], "certainty_all": told["certainty"]}
            rows.append({**whose, "usd_per_task": told["usd_per_task"], **row, **mine})
    return pd.DataFrame(rows, columns=list(CHOICE_COLUMNS))


def open_since(results: Path, use_case: UseCase, sufficient: Sequence[Candidate]) -> Since:
    """When the first open model came out that suffices: of those measured, or by published scores on one benchmark."""
    asked = tasks_of(results, use_case)
    wish = use_case.quality.at_least
    if len(asked.benchmarks) == 1 and not asked.own and wish is not None:
        return _published_since(results, next(iter(asked.benchmarks)), wish)
    ours = [one for one in sufficient if one.is_open]
    dated = sorted((one for one in ours if one.released), key=lambda one: str(one.released))
    if dated:
        first = dated[0]
        others = f"; {len(ours) - len(dated)} others without a date" if len(ours) > len(dated) else ""
        basis = f"release of the earliest open model that was measured here and suffices{others}"
        return Since(model=first.model, released=str(first.released), basis=basis)
    if ours:
        return Since(why=f"no release date is known of {', '.join(one.target for one in ours[:3])}")
    return Since(why="no open target is known to suffice")


def _published_since(results: Path, benchmark: str, wanted: float) -> Since:
    from bench.analysis.observations import observations
    from bench.analysis.versions import one_version_each

    rows = one_version_each(observations(results, provenance="published", benchmarks=[benchmark]))
    rows = rows[(rows["benchmark"] == benchmark) & (rows["score"] >= wanted) & rows["open_since"].notna()]
    if rows.empty:
        return Since(why=f"no open model has {wanted:g} on {benchmark} in what is published")
    first = rows.sort_values("open_since").iloc[0]
    basis = f"first open model published at {wanted:g} or more on {benchmark}, from the day its weights were open"
    return Since(model=str(first["label"]), released=str(first["open_since"])[:10], basis=basis)
