"""Which models and benchmarks can be put on one scale: enough scores each, and linked by shared benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.frontier.index.nouns import Rules

if TYPE_CHECKING:
    import pandas as pd


def thinned(rows: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of models on enough benchmarks and of benchmarks with enough models; and the models that fell out.

    Repeated until nothing changes: a benchmark that goes may take a model under its minimum.
    """
    import pandas as pd

    kept = rows
    while True:
        enough = kept.groupby("benchmark")["model"].transform("nunique") >= rules.min_models
        fewer = kept[enough]
        fewer = fewer[fewer.groupby("model")["benchmark"].transform("nunique") >= rules.min_benchmarks]
        if len(fewer) == len(kept):
            break
        kept = fewer
    had = rows.groupby("model")["benchmark"].nunique()
    gone = had[~had.index.isin(kept["model"])]
    return kept, pd.DataFrame(
        {
            "model": gone.index,
            "n_benchmarks": gone.to_numpy(),
            "reason": [
                f"{n} of the index's benchmarks, needs {rules.min_benchmarks}"
                if n < rules.min_benchmarks
                else f"{n} benchmarks, but under {rules.min_benchmarks} that {rules.min_models} models share"
                for n in gone
            ],
        }
    )


def labelled(rows: pd.DataFrame) -> pd.Series:
    """The component of each row in the graph of models and benchmarks: 0 for the one with most models, then by size."""
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    model, models = pd.factorize(rows["model"])
    benchmark, benchmarks = pd.factorize(rows["benchmark"])
    size = len(models) + len(benchmarks)
    links = coo_matrix((np.ones(len(rows)), (model, len(models) + benchmark)), shape=(size, size))
    _, label = connected_components(links, directed=False)
    by_size = pd.Series(label[: len(models)]).value_counts(sort=False).sort_index()
    rank = pd.Series(by_size.rank(method="first", ascending=False).astype(int) - 1)
    return pd.Series(rank.loc[label[model]].to_numpy(), index=rows.index, name="component")


def counted(rows: pd.DataFrame, component: pd.Series, compared: int) -> pd.DataFrame:
    """One row per component: component, n_models, n_benchmarks, compared."""
    sizes = (
        rows.assign(component=component)
        .groupby("component")
        .agg(n_models=("model", "nunique"), n_benchmarks=("benchmark", "nunique"))
    )
    return sizes.reset_index().assign(compared=lambda x: x["component"] == compared)


def outside(rows: pd.DataFrame, anchors: str) -> pd.DataFrame:
    """Models not linked to the anchors, as refusals."""
    counts = rows.groupby("model")["benchmark"].nunique()
    reason = f"shares no chain of benchmarks with {anchors}: it cannot be put on the same scale"
    return counts.rename("n_benchmarks").reset_index().assign(reason=reason)
