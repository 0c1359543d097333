"""One model from every side: what a name means and why, who may use it since when, what it scored, what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas

    from bench.catalog import Catalog
    from bench.catalog.names import Match

MODELS_COLUMNS = ("model", "vendor", "released", "grade", "parameters_total", "licence", "benchmarks")
GRADE_COLUMNS = ("grade", "valid_from", "valid_to", "source", "told_by", "note")
LAYERS = ("weights", "training_code", "training_data", "architecture", "fine_tuning")
LAYER_COLUMNS = ("grade", "valid_from", *LAYERS, "source", "source_2")
MODEL_SCORE_COLUMNS = ("benchmark", "score", "unit", "stderr", "version", "effort", "host", "evaluated_on", "source")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is known of the model that a name means."""

    name: str
    match: Match
    facts: dict[str, Any]
    """The catalogue's; vendor and release from the bundled facts where it has none."""
    grades: pandas.DataFrame
    """GRADE_COLUMNS, oldest first; what two say is there once, by whom `bench.analysis.openness.TOLD_BY` puts first."""
    layers: pandas.DataFrame
    """LAYER_COLUMNS; None = unknown."""
    scores: pandas.DataFrame
    """MODEL_SCORE_COLUMNS, published ones: bundled and imported."""
    prices: pandas.DataFrame
    """The columns of `bench.analysis.price_history`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        from bench.analysis.measured import records

        match = self.match
        named = {"name": self.name, "model": match.model, "version": match.version, "effort": match.effort}
        frames = {"grades": self.grades, "layers": self.layers, "scores": self.scores, "prices": self.prices}
        return {
            **named,
            "host": match.host,
            "steps": list(match.steps),
            "facts": self.facts,
            **{what: records(frame) for what, frame in frames.items()},
        }


def models(results: Path) -> pandas.DataFrame:
    """Every model that the catalogue or the bundled facts know; MODELS_COLUMNS, newest first.

    `grade` is the newest, `benchmarks` the number of bundled ones with a score of it; None and NaN = not known.
    """
    import pandas as pd

    from bench.analysis import openness
    from bench.catalog import load, published

    catalog = load()
    scores, told = published.scores(), openness.access(results)
    vendors = dict(zip(*(published.access()[column] for column in ("model", "vendor")), strict=True))
    known = dict.fromkeys((*catalog.models, *scores["model"], *vendors))
    grades = told.assign(rank=told["told_by"].map(openness.TOLD_BY.index)).sort_values(["rank", "valid_from"])
    newest = {model: part[part["rank"] == part["rank"].iloc[0]].iloc[-1] for model, part in grades.groupby("model")}
    counts = scores.groupby("model")["benchmark"].nunique()
    rows = [_listed(model, catalog, scores, newest.get(model), int(counts.get(model, 0))) for model in known]
    frame = pd.DataFrame(rows, columns=list(MODELS_COLUMNS))
    frame["vendor"] = frame["vendor"].where(frame["vendor"].notna(), frame["model"].map(vendors))
    frame["released"] = pd.to_datetime(frame["released"])
    return frame.sort_values(["released", "model"], ascending=[False, True]).reset_index(drop=True)


def model(results: Path, name: str) -> Shown:
    """The model that `name` means, however it is written; ConfigError where nothing at all is known of it."""
    from bench.analysis import openness
    from bench.analysis.published_scores import published as published_scores
    from bench.catalog import load, published
    from bench.catalog.names import load_overrides, match

    catalog = load()
    bare = _without_provider(name, catalog)
    found = match(bare, load_overrides())
    grades = openness.access(results)
    mine = grades[grades["model"].isin([found.model, found.version])]  # who counts first stands first
    scores = published_scores(results)
    layers = published.access()
    layers = layers[layers["model"] == found.model].reset_index(drop=True)
    shown = Shown(
        name=name,
        match=found,
        facts=_facts(bare, found, catalog, scores, layers),
        grades=_once(mine)[list(GRADE_COLUMNS)],
        layers=layers[list(LAYER_COLUMNS)],
        scores=_scores(scores[scores["model"] == found.model]),
        prices=_prices(found.model, results, catalog),
    )
    if not shown.facts and mine.empty and shown.scores.empty and shown.prices.empty:
        known = {*catalog.models, *published.access()["model"], *scores["model"]}
        raise ConfigError(
            f"nothing is known of {name!r}, which the rules read as model {found.model!r}{nearest(found.model, known)}"
        )
    return shown


def _without_provider(name: str, catalog: Catalog) -> str:
    """`openai:gpt-5` -> `gpt-5`; Ollama's llama3.1:8b keeps its colon."""
    provider, colon, rest = name.partition(":")
    names = {name for each in catalog.providers.values() for name in (each.id, *each.aliases)}
    return rest if colon and provider in names else name


def _once(grades: pandas.DataFrame) -> pandas.DataFrame:
    """By day; without what an earlier teller said already, with a day or without."""
    undated = grades["valid_from"].isna() & grades["grade"].isin(grades.loc[grades["valid_from"].notna(), "grade"])
    return grades[~undated].drop_duplicates(["grade", "valid_from"]).sort_values("valid_from", ignore_index=True)


def _facts(
    name: str, found: Match, catalog: Catalog, scores: pandas.DataFrame, layers: pandas.DataFrame
) -> dict[str, Any]:
    declared = catalog.models.get(name) or catalog.models.get(found.model)
    if declared is not None:
        return declared.model_dump(mode="json", exclude_none=True)
    mine = scores[(scores["model"] == found.model) & scores["released"].notna()].sort_values("released")
    if not mine.empty:
        return {"vendor": mine["vendor"].iloc[0], "released": str(mine["released"].iloc[0].date())}
    if layers.empty:
        return {}
    return {"vendor": layers["vendor"].iloc[0], "released": str(layers["valid_from"].min().date())}


def _scores(mine: pandas.DataFrame) -> pandas.DataFrame:
    from bench.catalog.benchmarks import known

    unit = mine["benchmark"].map(lambda name: item.unit if (item := known(name)) else None)
    return mine.assign(unit=unit)[list(MODEL_SCORE_COLUMNS)].sort_values(["benchmark", "score"], ignore_index=True)


def _prices(model: str, results: Path, catalog: Catalog) -> pandas.DataFrame:
    import pandas as pd

    from bench.analysis.prices import PRICE_COLUMNS, price_history

    try:
        return price_history(model, results, catalog=catalog)
    except ConfigError:  # nobody asks a price for it
        return pd.DataFrame(columns=list(PRICE_COLUMNS))


def _listed(
    model: str, catalog: Catalog, scores: pandas.DataFrame, grade: pandas.Series[Any] | None, benchmarks: int
) -> dict[str, Any]:
    from bench.catalog.grades import from_catalog

    declared = catalog.models.get(model)
    mine = scores[scores["model"] == model]
    told = None if grade is None else grade["valid_from"]
    first = mine["released"].min() if len(mine) else told
    return {
        "model": model,
        "vendor": declared.vendor if declared else mine["vendor"].iloc[0] if len(mine) else None,
        "released": declared.released if declared and declared.released else first,
        "grade": grade["grade"] if grade is not None else from_catalog(declared.access) if declared else None,
        "parameters_total": declared.parameters_total if declared else None,
        "licence": declared.licence if declared else None,
        "benchmarks": benchmarks,
    }
