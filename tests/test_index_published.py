"""Fitted on Epoch's set of April 2026, the index is the one Epoch published: r >= 0.999 and RMSE <= 1.5 points.

`pytest -s` prints the figures. Skipped where the set is not there.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.catalog.benchmarks import benchmark
from bench.frontier.index import Fit, Prepared, Rules, fit, index_rows, of_versions
from tests.epoch_rows import grouped_as_published, in_index, observations
from tests.real_data import real


@pytest.fixture(scope="module")
def seen() -> pd.DataFrame:
    return observations(real("epoch_hub_2026-04"))


@pytest.fixture(scope="module")
def as_published(seen: pd.DataFrame) -> Prepared:
    return index_rows(grouped_as_published(seen), in_index(), group="model")


def agreement(found: Fit, prepared: Prepared, seen: pd.DataFrame) -> tuple[int, float, float]:
    """Versions compared, r, RMSE in index points."""
    ours = of_versions(found, prepared).drop_duplicates("version").set_index("version")["index"]
    theirs = seen.drop_duplicates("version").set_index("version")["published"].dropna()
    both = pd.concat([ours, theirs], axis=1, join="inner")
    return (
        len(both),
        float(both.corr().iloc[0, 1]),
        float(np.sqrt(((both["index"] - both["published"]) ** 2).mean())),
    )


@pytest.mark.parametrize(("below", "most_rmse"), [("clip", 0.3), ("drop", 0.1)])
def test_with_epochs_groups_the_index_is_the_published_one(seen: pd.DataFrame, below: str, most_rmse: float) -> None:
    told = grouped_as_published(seen)
    prepared = index_rows(told, in_index(), group="model", below=below)  # type: ignore[arg-type]
    begun = time.perf_counter()
    found = fit(prepared.rows)
    took_s = time.perf_counter() - begun
    n, r, rmse = agreement(found, prepared, told)
    print(f"\n{prepared.method}\n{found.method}")
    print(f"{n} versions: r = {r:.6f}, RMSE = {rmse:.3f} points; fitted in {took_s:.3f} s")
    assert (n, len(found.models), len(found.benchmarks)) == (348, 163, 42)  # every version with a published index
    assert r >= 0.9999
    assert rmse <= most_rmse
    assert took_s < 5


def test_difficulties_slopes_and_scale_are_the_published_ones(as_published: Prepared) -> None:
    folder = real("epoch_hub_2026-04") / "additional_eci_data"
    told = pd.read_csv(folder / "eci_benchmark_difficulties_and_slopes.csv")
    told = told.assign(benchmark=[benchmark(name).id for name in told["benchmark_name"]])
    found = fit(as_published.rows)
    both = found.benchmarks.merge(told, on="benchmark", how="inner", validate="one_to_one")
    error = both["difficulty_index"] - both["edi"]
    r_slope = np.corrcoef(both["slope_per_point"], both["estimated_slope_scaled"])[0, 1]
    scale = pd.read_csv(folder / "eci_scaling.csv").iloc[0]
    print(
        f"\n{len(both)} benchmarks: difficulty r = {np.corrcoef(both['difficulty_index'], both['edi'])[0, 1]:.5f}, "
        f"RMSE = {np.sqrt((error**2).mean()):.2f} points (largest {both['benchmark'][error.abs().idxmax()]} "
        f"{error[error.abs().idxmax()]:+.2f}); slope r = {r_slope:.4f}; index = {found.scale.offset:.2f} + "
        f"{found.scale.per_ability:.2f} ability (published {scale['a']:.2f} + {scale['b']:.2f})"
    )
    assert len(both) == 42
    assert error.abs().max() < 2
    assert r_slope > 0.998
    assert found.scale.offset == pytest.approx(scale["a"], abs=0.5)
    assert found.scale.per_ability == pytest.approx(scale["b"], abs=0.3)


@pytest.mark.parametrize(("group", "least_r", "most_rmse"), [("release", 0.999, 1.5), ("model", 0.997, 1.6)])
def test_with_our_own_names_and_groups_it_is_nearly_that(
    seen: pd.DataFrame, group: str, least_r: float, most_rmse: float
) -> None:
    prepared = index_rows(seen, in_index(), group=group)  # type: ignore[arg-type]
    found = fit(prepared.rows)
    n, r, rmse = agreement(found, prepared, seen)
    print(f"\n{prepared.method}\n{len(found.models)} models, {n} versions: r = {r:.6f}, RMSE = {rmse:.3f} points")
    assert r >= least_r
    assert rmse <= most_rmse


def test_without_the_chance_correction_the_scale_bends(seen: pd.DataFrame) -> None:
    bent = {name: fact.model_copy(update={"chance": 0.0}) for name, fact in in_index().items()}
    told = grouped_as_published(seen)
    prepared = index_rows(told, bent, group="model")
    n, r, rmse = agreement(fit(prepared.rows), prepared, told)
    print(f"\nwithout chance correction, {n} versions: r = {r:.4f}, RMSE = {rmse:.2f} points")
    assert rmse > 2


def test_one_scale_holds_the_whole_set_and_the_start_does_not_matter(as_published: Prepared) -> None:
    found = fit(as_published.rows)
    assert found.components["compared"].tolist() == [True]
    assert found.converged
    other = fit(as_published.rows, start=fit(as_published.rows, replace(Rules(), likelihood="binomial")))
    assert pd.Series(other.index()).sub(pd.Series(found.index())).abs().max() < 0.05
