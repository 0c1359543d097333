"""The index finds a known truth, agrees with an independent optimiser, and refuses what it cannot compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares
from scipy.special import expit

from bench.errors import ConfigError
from bench.frontier.index import Anchor, fit, leave_one_benchmark_out, without
from tests.index_world import RULES, World, world


def reference(rows: pd.DataFrame, ridge: float = 0.1) -> pd.Series:
    """The same objective by scipy's trust-region solver with numerical derivatives: index points by model."""
    models, benchmarks = sorted(rows["model"].unique()), sorted(rows["benchmark"].unique())
    i, b = (pd.Categorical(rows[c], u).codes.astype(int) for c, u in (("model", models), ("benchmark", benchmarks)))
    n, m = len(models), len(benchmarks)
    y = rows["value"].clip(0.001, 0.999).to_numpy()
    root = np.sqrt(ridge / (n + 2 * m - 1))

    def residuals(x: np.ndarray) -> np.ndarray:
        slope = np.concatenate([[1.0], x[n + m :]])
        return np.concatenate([expit(slope[b] * (x[:n][i] - x[n : n + m][b])) - y, root * x])

    low = np.concatenate([np.full(n + m, -20.0), np.full(m - 1, 0.1)])
    found = least_squares(
        residuals, np.concatenate([np.zeros(n + m), np.ones(m - 1)]), bounds=(low, 10 * np.ones(len(low)) + 10),
        xtol=1e-12, ftol=1e-12,
    )  # fmt: skip
    ability = pd.Series(found.x[:n], index=models)
    return 130 + 20 * (ability - ability["low"]) / (ability["high"] - ability["low"])


def test_the_minimum_is_the_one_scipy_finds_without_our_derivatives() -> None:
    rows = world(1, models=15, benchmarks=6).rows
    ours = pd.Series(fit(rows, RULES).index())
    assert (ours - reference(rows[rows["model"].isin(ours.index)])).abs().max() < 0.01


def test_abilities_of_a_noiseless_world_are_found_almost_exactly() -> None:
    truth = world(2, noise=0.0)
    found = fit(truth.rows, replace(RULES, ridge=1e-6))
    inside = found.models[found.models["model"].map(truth.ability).between(-0.8, 1.8)]
    assert (inside["index"] - inside["model"].map(truth.index)).abs().max() < 0.1
    assert found.benchmarks["difficulty"].to_numpy() == pytest.approx(
        found.benchmarks["benchmark"].map(truth.difficulty).to_numpy(), abs=0.02
    )
    assert found.benchmarks["slope"].to_numpy() == pytest.approx(
        found.benchmarks["benchmark"].map(truth.slope).to_numpy(), abs=0.05
    )


def test_a_standard_error_covers_the_truth_about_as_often_as_it_says() -> None:
    inside = [abs(z) < 1.645 for seed in range(20) for z in errors_in_stderr(world(seed))]
    assert 0.82 < np.mean(inside) < 0.94  # 90% by name


def errors_in_stderr(truth: World) -> np.ndarray:
    models = fit(truth.rows, RULES).models
    models = models[~models["model"].isin(["low", "high"])]
    z: np.ndarray = ((models["index"] - models["model"].map(truth.index)) / models["stderr"]).to_numpy()
    return z


def test_the_anchors_are_what_they_are_called_with_no_error_of_their_own() -> None:
    models = fit(world(3).rows, RULES).models.set_index("model")
    assert models.loc[["low", "high"], "index"].tolist() == pytest.approx([130, 150], abs=1e-9)
    assert models.loc[["low", "high"], "stderr"].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert (models["stderr"].drop(["low", "high"]) > 0).all()


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = world(4).rows
    one, other = fit(rows, RULES), fit(rows.sample(frac=1, random_state=0), RULES)
    pd.testing.assert_frame_equal(one.models, other.models)
    pd.testing.assert_frame_equal(one.benchmarks, other.benchmarks)


def test_other_anchor_values_only_shift_and_stretch_the_index() -> None:
    rows = world(5).rows
    one = fit(rows, RULES)
    other = fit(rows, replace(RULES, low=Anchor(names=("low",), index=0), high=Anchor(names=("high",), index=1)))
    assert (130 + 20 * other.models["index"]).to_numpy() == pytest.approx(one.models["index"].to_numpy(), abs=1e-9)


def test_other_anchor_models_keep_every_ratio_of_distances() -> None:
    rows = world(5).rows
    one = fit(rows, RULES).models
    low = Anchor(names=(one["model"].iloc[-1],), index=1)
    other = pd.Series(fit(rows, replace(RULES, low=low)).index()).reindex(one["model"]).to_numpy()
    index = one["index"].to_numpy()
    assert (other - 1) / (150 - 1) == pytest.approx((index - index[-1]) / (150 - index[-1]), abs=1e-9)


def test_doubling_every_weight_and_the_ridge_changes_no_index() -> None:
    rows = world(6, models=12, benchmarks=6).rows
    doubled = fit(rows.assign(weight=2.0), replace(RULES, ridge=0.2))
    pd.testing.assert_frame_equal(doubled.models, fit(rows, RULES).models, rtol=1e-6)


def test_a_weightier_benchmark_is_fitted_more_closely() -> None:
    rows = world(6, models=12, benchmarks=6).rows
    heavy = fit(rows.assign(weight=np.where(rows["benchmark"] == "b03", 20.0, 1.0)), RULES)
    scatter = [each.benchmarks.set_index("benchmark").loc["b03", "residual_sd"] for each in (heavy, fit(rows, RULES))]
    assert scatter[0] < scatter[1] / 2


def test_a_warm_start_ends_where_a_cold_one_does() -> None:
    rows = world(7).rows
    cold = fit(rows, RULES)
    warm = fit(rows, RULES, start=fit(rows.iloc[5:], RULES))
    assert warm.models["index"].to_numpy() == pytest.approx(cold.models["index"].to_numpy(), abs=0.02)
    assert fit(rows, RULES, start=cold).steps < cold.steps


def test_slopes_stay_within_their_bounds_and_the_fit_still_ends() -> None:
    rows = world(8).rows
    step = rows.assign(value=np.where(rows["benchmark"] == "b05", (rows["value"] > 0.5) * 1.0, rows["value"]))
    flat = step.assign(value=np.where(step["benchmark"] == "b06", 0.5, step["value"]))
    found = fit(flat, replace(RULES, ridge=1e-4, slope_high=4.0))
    slope = found.benchmarks.set_index("benchmark")["slope"]
    assert found.converged
    assert slope["b06"] == pytest.approx(0.1)
    assert slope.between(0.1, 4.0).all()


def test_the_binomial_likelihood_finds_the_same_world() -> None:
    truth = world(9)
    found = fit(truth.rows.assign(weight=200.0), replace(RULES, likelihood="binomial", ridge=0.01))
    error = found.models["index"] - found.models["model"].map(truth.index)
    middle = found.models["model"].map(truth.ability).between(-0.8, 1.8)
    assert np.sqrt((error[middle] ** 2).mean()) < 2.5


def test_a_model_on_three_benchmarks_is_refused_with_the_reason() -> None:
    rows = world(10).rows
    few = rows[rows["model"] == "high"].head(3).assign(model="newcomer")
    found = fit(pd.concat([rows, few]), RULES)
    refused = found.refused.set_index("model")
    assert refused.loc["newcomer", "reason"] == "3 of the index's benchmarks, needs 4"
    assert "newcomer" not in set(found.models["model"])


def test_a_benchmark_only_one_model_was_asked_counts_for_nobody() -> None:
    rows = world(10).rows
    three = rows[rows["model"] == "high"].head(3).assign(model="newcomer")
    own = pd.DataFrame({"model": ["newcomer"], "benchmark": ["its own"], "value": [0.99]})
    found = fit(pd.concat([rows, three, own]), RULES)
    assert "under 4 that 2 models share" in found.refused.set_index("model").loc["newcomer", "reason"]
    assert "its own" not in set(found.benchmarks["benchmark"])


def test_an_island_is_reported_and_never_compared() -> None:
    rows = world(11).rows
    island = world(12, models=6, benchmarks=5, share=1.0).rows
    island = island.assign(model="far " + island["model"], benchmark="far " + island["benchmark"])
    found = fit(pd.concat([rows, island]), RULES)
    assert found.components[["n_models", "n_benchmarks", "compared"]].to_numpy().tolist() == [
        [40, 12, True],
        [6, 5, False],
    ]
    assert not found.models["model"].str.startswith("far").any()
    assert found.refused["reason"].str.contains("shares no chain of benchmarks with low and high").all()
    assert found.models.equals(fit(rows, RULES).models)


def test_anchors_on_two_islands_are_refused() -> None:
    rows = world(11, models=6, benchmarks=5, share=1.0).rows
    island = rows.assign(model="far " + rows["model"], benchmark="far " + rows["benchmark"])
    apart = replace(RULES, high=Anchor(names=("far high",), index=150))
    with pytest.raises(ConfigError, match="share no chain of benchmarks"):
        fit(pd.concat([rows, island]), apart)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": Anchor(names=("lov",), index=130)}, r"its anchor lov \(= 130\) is not among the 40 models.*low"),
        ({"anchor_benchmark": "b0"}, "the anchor benchmark 'b0' is not among the 12 linked with low"),
        ({"high": RULES.low, "low": RULES.high}, "low is not above high"),
    ],
)
def test_a_missing_or_swapped_anchor_is_told_in_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        fit(world(13).rows, replace(RULES, **change))  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_scores_that_are_no_shares_or_come_twice_are_refused() -> None:
    rows = world(14).rows
    with pytest.raises(ConfigError, match="prepare the scores with index_rows"):
        fit(rows.assign(value=rows["value"] * 100), RULES)
    with pytest.raises(ConfigError, match="prepare the scores with index_rows"):
        fit(rows.assign(value=rows["value"].where(rows.index != 3)), RULES)
    with pytest.raises(ConfigError, match="has several scores on b00"):
        fit(pd.concat([rows, rows.head(1)]), RULES)
    with pytest.raises(ConfigError, match="need the column value"):
        fit(rows[["model", "benchmark"]], RULES)


def test_leaving_out_a_benchmark_is_the_fit_without_its_rows() -> None:
    rows = world(15).rows
    whole = fit(rows, RULES)
    less = without(rows, whole, "b07")
    cold = fit(rows[rows["benchmark"] != "b07"], RULES)
    assert "b07" not in set(less.benchmarks["benchmark"])
    assert pd.Series(less.index()).sub(pd.Series(cold.index())).abs().max() < 0.02


def test_every_benchmark_may_be_left_out_the_anchor_too() -> None:
    rows = world(16).rows
    whole = fit(rows, RULES)
    lines = dict(leave_one_benchmark_out(rows, whole))
    assert list(lines) == whole.benchmarks["benchmark"].tolist()
    assert not any(isinstance(line, str) for line in lines.values())
    moved = [np.abs(pd.Series(line.index()) - pd.Series(whole.index())).median() for line in lines.values()]
    assert max(moved) < 3


def test_a_benchmark_that_holds_an_anchor_up_cannot_be_left_out() -> None:
    rows = world(17).rows
    rows = rows[(rows["model"] != "low") | rows["benchmark"].isin(["b00", "b01", "b02", "b03"])]
    whole = fit(rows, RULES)
    ((_, told),) = leave_one_benchmark_out(rows, whole, ["b01"])
    assert told == "index: its anchor low (= 130) is not among the 39 models: 3 of the index's benchmarks, needs 4"


def test_the_method_says_everything_a_caption_needs() -> None:
    said = fit(world(18).rows, RULES).method
    for part in ("least squares", "ridge 0.1 over", "40 models on 12 benchmarks", "low = 130", "high = 150"):
        assert part in said
