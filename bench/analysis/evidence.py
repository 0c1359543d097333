"""What the store knows of the targets that might do for a use case: its tasks, runs, items, latencies and money."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.asked import Asked
from bench.analysis.measured import report
from bench.choice.nouns import OPEN_LAYERS, Candidate
from bench.choice.verdict import Evidence
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas

OWN_ADDRESS = "own address"


def evidence(results: Path, asked: Asked) -> Evidence:
    """What is known of every target that was measured on one of the tasks: its newest run of each suite."""
    runs = newest(results, asked)
    published, models = _published(results, asked, runs)
    return Evidence(
        candidates=(*candidates_of(runs), *models),
        weights=asked.weights,
        items=_items(results, runs),
        answers=_answers(results, runs),
        published=published,
    )


def must_be_known(target: str, found: Evidence, where: str) -> None:
    """ConfigError for a target that the evidence says nothing of."""
    names = found.names()
    if target not in names:
        raise ConfigError(
            f"{where} = {target!r} was not measured on these tasks{nearest(target, names)} "
            f"(measure it: bench run SUITE -t {target})"
        )


# ---------------------------------------------------------------------------------------------------- what was measured


def newest(results: Path, asked: Asked) -> pandas.DataFrame:
    """The run that speaks for each target and suite, with the metric of each asked task; of one suite version only."""
    import pandas as pd

    shown = report(results) if asked.own and (Path(results) / database.NAME).exists() else pd.DataFrame()
    if shown.empty:
        return pd.DataFrame(columns=["run_id", "target", "suite", "task", "metric", "layer", "provider", "engine"])
    shown = shown.assign(run_id=shown["run_ids"].map(lambda ids: ids[0]))
    mine = [(suite, task) in asked.own for suite, task in zip(shown["suite"], shown["task"], strict=True)]
    shown = shown[mine]
    latest = shown.sort_values("run_id").groupby("suite")["suite_version"].last()
    counted = {**{str(suite): version for suite, version in latest.items()}, **asked.versions}
    kept = shown["suite_version"] == shown["suite"].map(counted)
    shown = shown[kept].sort_values("run_id")
    shown = shown[shown["run_id"] == shown.groupby(["target", "suite"])["run_id"].transform("last")]
    told = database.query(results, "choose_runs", run_ids=sorted(set(shown["run_id"])))
    columns = ["run_id", "provider", "engine", "model", "released", "access", "started_at"]
    return shown[["run_id", "target", "layer", "suite", "task", "metric"]].merge(told[columns], on="run_id")


def candidates_of(runs: pandas.DataFrame) -> tuple[Candidate, ...]:
    """Each target of those runs, once."""
    from bench.catalog import load

    served = {name: model for model in load().models.values() for name in model.served_as}
    found = []
    for target, rows in runs.groupby("target", sort=True):
        row = rows.iloc[-1]
        place = _text(row["provider"]) or _text(row["engine"])
        model = served.get(f"{place}:{row['model']}")
        name = _text(row["model"]) or str(target)
        told = _bundled(name)
        found.append(
            Candidate(
                target=str(target),
                layer=_text(row["layer"]),
                provider=place or OWN_ADDRESS,
                is_open=_is_open(model.access if model else _text(row["access"]), told[0], str(row["layer"])),
                model=model.id if model else name,
                released=(model.released if model else None) or _date(row["released"]) or told[1],
                run_ids=tuple(sorted(set(rows["run_id"]))),
                measured=str(rows["started_at"].max())[:10],
            )
        )
    return tuple(found)


def _is_open(access: str | None, told: bool | None, layer: str) -> bool:
    """By what the catalogue says of the model, else the bundled facts, else its layer: hosts of open weights may also
    pass closed models on."""
    if access is not None:
        return access not in ("api-only", "unreleased")
    return layer in OPEN_LAYERS if told is None else told


@cache
def _bundled(name: str) -> tuple[bool | None, dt.date | None]:
    """Whether the bundled facts call that model open, and its day of release; None where they don't know it."""
    from bench.catalog import published
    from bench.catalog.grades import OPEN, at_least
    from bench.catalog.names import match

    matched = match(name)
    names = (matched.version, matched.model)
    grades, scores = published.access(), published.scores()
    graded = grades[grades["model"].isin(names)].sort_values("valid_from")["grade"]
    dated = scores[scores["version"].isin(names) | scores["model"].isin(names)]["released"].dropna()
    return (at_least(graded.iloc[-1], OPEN) if len(graded) else None), _date(dated.min() if len(dated) else None)


def _items(results: Path, runs: pandas.DataFrame) -> pandas.DataFrame:
    """A row per target, task and item: `target, task, item, cluster, value, usd, n_repeats, n_unscored`."""
    rows = database.query(results, "choose_items", run_ids=sorted(set(runs["run_id"]))) if len(runs) else None
    if rows is None:
        import pandas as pd

        rows = pd.DataFrame(columns=["run_id", "task", "metric", "item_id"])
    rows = rows.merge(runs[["run_id", "target", "suite", "task", "metric"]], on=["run_id", "task", "metric"])
    rows = rows.assign(task=rows["suite"] + "/" + rows["task"]).rename(columns={"item_id": "item"})
    rows = rows.reindex(columns=["target", "task", "item", "cluster", "value", "usd", "n_repeats", "n_unscored"])
    return rows.astype(dict.fromkeys(("value", "usd", "n_repeats", "n_unscored"), float))


def _answers(results: Path, runs: pandas.DataFrame) -> pandas.DataFrame:
    """A row per target and question: `target, answered, ttft_ms, e2e_ms, decode_tps`."""
    import pandas as pd

    columns = ["target", "answered", "ttft_ms", "e2e_ms", "decode_tps"]
    if runs.empty:
        return pd.DataFrame(columns=columns).astype({"answered": bool})
    rows = database.query(results, "choose_latency", run_ids=sorted(set(runs["run_id"])))
    return rows.merge(runs[["run_id", "target", "task"]], on=["run_id", "task"])[columns]


# ---------------------------------------------------------------------------------------------------- what others found


def _published(results: Path, asked: Asked, runs: pandas.DataFrame) -> tuple[pandas.DataFrame, tuple[Candidate, ...]]:
    """Published scores of the asked benchmarks, by candidate; models that nobody measured here are candidates only
    where the use case is about published benchmarks alone."""
    import pandas as pd

    empty = pd.DataFrame(columns=["target", "task", "value", "stderr", "n", "source"])
    if not asked.benchmarks:
        return empty, ()
    seen = _observed(results, asked.benchmarks)
    if not asked.own:
        models = tuple(_model(str(name), rows) for name, rows in seen.groupby("model", sort=True))
        return seen.assign(target=seen["model"])[list(empty.columns)], models
    from bench.catalog.names import match

    by_model = {one.target: match(one.model or one.target).model for one in candidates_of(runs)}
    parts = [seen[seen["model"] == model].assign(target=target) for target, model in by_model.items()]
    return (pd.concat(parts)[list(empty.columns)] if parts else empty), ()


def _observed(results: Path, benchmarks: Mapping[str, float]) -> pandas.DataFrame:
    """The best published score of each model on each of these, with a standard error where one can be had."""
    from bench.analysis.observations import observations
    from bench.analysis.versions import one_version_each
    from bench.catalog.benchmarks import benchmark

    rows = one_version_each(observations(results, provenance="published", benchmarks=list(benchmarks)))
    n = rows["n_items"].fillna(rows["benchmark"].map({name: benchmark(name).n_items for name in benchmarks}))
    binomial = (rows["score"] * (1 - rows["score"]) / n.astype(float)) ** 0.5
    rows = rows.assign(stderr=rows["stderr"].fillna(binomial), value=rows["score"], task=rows["benchmark"], n=n)
    return rows.sort_values("score").groupby(["model", "benchmark"]).tail(1)


def _model(name: str, rows: pandas.DataFrame) -> Candidate:
    is_open = bool(rows["open_since"].notna().any())
    released = rows["released"].min()
    return Candidate(
        target=name, layer=None, provider="not known", is_open=is_open, model=name, released=_date(released)
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _date(value: Any) -> dt.date | None:
    import pandas as pd

    return None if pd.isna(value) else pd.Timestamp(value).date()
