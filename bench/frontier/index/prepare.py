"""From observations to the index's rows: which benchmarks, which models, one score each, chance taken out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import ConfigError, nearest
from bench.frontier.scores import EFFORT_RULES, RULES, EffortRule, Rule, Scale, one_per_version

if TYPE_CHECKING:
    import pandas as pd

    from bench.frontier.index.nouns import Fit

Group = Literal["release", "model", "version"]
Below = Literal["clip", "drop"]

GROUPS = {
    "release": "versions of one model released in the same month are one model",
    "model": "all versions of a model are one model",
    "version": "every version is a model of its own",
}
BELOW = {"clip": "scores below chance count as chance", "drop": "scores below chance are left out"}
SINCE = dt.date(2023, 1, 1)
"""Epoch's index leaves out models released before."""
JOINT = "\x1f"
"""Between the two halves of a name that stands for a model on a benchmark."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Rows for `fit` and how they came to be.

    rows: model (the group), benchmark, value = p', stderr (of p', NaN = unknown), n_rows (observations it stands for).
    members: group, model, version, released, one row per version. table: reason, n_rows: what became of every
    observation; `kept` is the first.
    """

    rows: pd.DataFrame
    members: pd.DataFrame
    table: pd.DataFrame
    method: str


def index_rows(
    observations: pd.DataFrame, facts: Mapping[str, Scale], *, group: Group = "release", rule: Rule = "best",
    effort_rule: EffortRule = "best", below: Below = "clip", since: dt.date | None = SINCE,
) -> Prepared:  # fmt: skip
    """One p' = (p - chance) / (ceiling - chance) per model and benchmark, on the benchmarks in `facts`.

    `facts` are those of the index (`{id: b for id, b in benchmarks().items() if b.in_index}`); without them no score is
    corrected for chance, so an unknown benchmark is skipped. Reasoning efforts and hosts of a version are one group, of
    which `effort_rule` takes one score, after `rule` has made several rows of one effort into one.
    """
    for word, known, what in ((group, GROUPS, "group"), (below, BELOW, "below")):
        if word not in known:
            raise ConfigError(f"index: {what} {word!r} isn't known{nearest(word, known)}")
    observations = observations.drop(columns="cls", errors="ignore")
    kept, table = _kept(observations, facts, below, since)
    grouped = kept.assign(version=_groups(kept, group), _was=kept["version"])
    members = grouped[["version", "model", "_was", "released"]].drop_duplicates(["version", "_was"])
    one = one_per_version(
        grouped.assign(version=grouped["version"] + JOINT + grouped["benchmark"]).drop(columns="_was"),
        rule=rule, effort_rule=effort_rule,
    )  # fmt: skip
    rows = _split(one, effort_rule)
    return Prepared(
        rows=rows.sort_values(["model", "benchmark"], ignore_index=True),
        members=members.rename(columns={"version": "group", "_was": "version"}).reset_index(drop=True),
        table=table,
        method="; ".join((GROUPS[group], RULES[rule], EFFORT_RULES[effort_rule], BELOW[below])),
    )


def of_versions(fit: Fit, prepared: Prepared) -> pd.DataFrame:
    """The index of every version of a fitted model: version, model, group, index, stderr, n_benchmarks."""
    wanted = fit.models.rename(columns={"model": "group"})[["group", "index", "stderr", "n_benchmarks"]]
    return prepared.members.drop(columns="released").merge(wanted, on="group", how="inner")


def _kept(
    observations: pd.DataFrame, facts: Mapping[str, Scale], below: Below, since: dt.date | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Usable rows with `score` replaced by p', and how many fell to which reason."""
    import numpy as np
    import pandas as pd

    usable = {name: fact for name, fact in facts.items() if fact.scale == "proportion"}
    chance = observations["benchmark"].map({name: fact.chance for name, fact in usable.items()}).astype(float)
    ceiling = observations["benchmark"].map({name: fact.ceiling for name, fact in usable.items()}).astype(float)
    value = (observations["score"].astype(float) - chance) / (ceiling - chance)
    old = observations["released"] < pd.Timestamp(since) if since else pd.Series(False, index=observations.index)
    reasons = [
        ("not a benchmark of the index", chance.isna()),
        ("no score", value.isna()),
        ("no proportion from 0 to 1", ~observations["score"].between(-1e-9, 1 + 1e-9)),
        (f"released before {since}", old),
        ("below chance", (value < 0) & (below == "drop")),
    ]
    fate = np.select([hit for _, hit in reasons], [reason for reason, _ in reasons], default="kept")
    counts = pd.Series(fate).value_counts().reindex(["kept", *(reason for reason, _ in reasons)], fill_value=0)
    stderr = observations["stderr"] / (ceiling - chance) if "stderr" in observations else np.nan
    kept = observations.assign(score=value.clip(0, 1), stderr=stderr)[fate == "kept"].reset_index(drop=True)
    return kept, counts.rename_axis("reason").rename("n_rows").reset_index()


def _groups(kept: pd.DataFrame, group: Group) -> pd.Series:
    """The name of each row's group."""
    if group == "version":
        return kept["version"]
    if group == "model":
        return kept["model"]
    first = kept.groupby(["model", "version"])["released"].transform("min")
    first = first.fillna(first.groupby(kept["model"]).transform("min"))
    month = first.dt.strftime("%Y-%m")
    several = month.groupby(kept["model"]).transform("nunique") > 1
    return kept["model"].where(~several | month.isna(), kept["model"] + " " + month)


def _split(one: pd.DataFrame, effort_rule: EffortRule) -> pd.DataFrame:
    """Back from a model on a benchmark to both; an effort that was kept apart stays with the model's name."""
    names = one["version"].str.split(JOINT, n=1, expand=True, regex=False)
    model = names[0]
    if effort_rule == "each":
        ending = [name[len(benchmark) :] for name, benchmark in zip(names[1], one["benchmark"], strict=True)]
        model = model + ending
    return one.assign(model=model, value=one["score"])[["model", "benchmark", "value", "stderr", "n_rows"]]
