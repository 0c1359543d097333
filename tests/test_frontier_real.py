"""Real benchmarks of Epoch's hub against a brute force that knows nothing of step functions; a simulated race."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from bench.catalog.benchmarks import benchmark
from bench.frontier import posterior, scores
from bench.frontier.answer import Gap
from bench.frontier.measure import measure
from tests.frontier_world import POINTS, observed, table

FILES = {
    "gpqa-diamond": ("gpqa_diamond", "mean_score", "stderr"),
    "math-level-5": ("math_level_5", "mean_score", "stderr"),
    "mmlu": ("mmlu_external", "EM", None),
    "eci": ("epoch_capabilities_index", "ECI Score", None),
    "simplebench": ("simplebench_external", "Score (AVG@5)", None),
    "frontiermath": ("frontiermath", "mean_score", "stderr"),
}


def real_gap(name: str) -> tuple[Gap, pd.DataFrame]:
    file, column, stderr = FILES[name]
    told = observed(file, column, stderr=stderr)
    bench = benchmark(name)
    rows = scores.rows(told, bench)
    return measure(rows, benchmark=bench, draws=posterior.draws(rows, bench), today=date(2026, 4, 16)), told


@dataclass(frozen=True, kw_only=True)
class Brute:
    """The definitions of GAP section 2, one model and one day at a time."""

    closed: list[tuple[date, float]]
    opened: list[tuple[date, float]]

    @classmethod
    def of(cls, told: pd.DataFrame, name: str) -> Brute:
        bench = benchmark(name)

        def models(since: str) -> list[tuple[date, float]]:
            kept = (
                told[told[since].notna() & told["score"].notna()].groupby("version").agg({since: "min", "score": "max"})
            )
            days, values = [day.date() for day in kept[since]], kept["score"].tolist()
            if bench.scale == "proportion":
                eps = 1 / (2 * (bench.n_items or 1000))
                values = [min(max((v - bench.chance) / (bench.ceiling - bench.chance), eps), 1 - eps) for v in values]
            return sorted(zip(days, values, strict=True))

        return cls(closed=models("closed_since"), opened=models("open_since"))

    def as_of(self) -> date:
        return min(max(day for day, _ in self.closed), max(day for day, _ in self.opened))

    def height(self, models: list[tuple[date, float]], when: date) -> float:
        return max((value for day, value in models if day <= when), default=-1e9)

    def reached(self, models: list[tuple[date, float]], level: float, until: date) -> date | None:
        return min((day for day, value in models if value >= level and day <= until), default=None)

    def closed_records(self, until: date) -> list[tuple[date, float]]:
        found = []
        for day in sorted({day for day, _ in self.closed if day <= until}):
            level = self.height(self.closed, day)
            if level > self.height(self.closed, day - timedelta(1)):
                found.append((day, level))
        return found

    def waits(self, until: date) -> list[tuple[float, bool]]:
        told = []
        for day, level in self.closed_records(until):
            match = self.reached(self.opened, level, until)
            told.append((max(((match or until) - day).days, 0) / 30.4375, match is not None))
        return told

    def median_wait(self, until: date) -> float | None:
        waits, surviving = self.waits(until), 1.0
        for time in sorted({t for t, matched in waits if matched}):
            surviving *= 1 - sum(t == time and m for t, m in waits) / sum(t >= time for t, _ in waits)
            if surviving <= 0.5:
                return time
        return None

    def mean_horizontal(self, until: date, pieces: int = 20000) -> float:
        closed, opened = ([m for m in side if m[0] <= until] for side in (self.closed, self.opened))
        low = max(self.height(side, min(side)[0]) for side in (closed, opened))
        high = min(self.height(side, until) for side in (closed, opened))
        levels = low + (np.arange(pieces) + 0.5) / pieces * (high - low)
        days = []
        for side in (closed, opened):
            heights = np.array([v for _, v in side])
            when = np.array([d.toordinal() for d, _ in side], dtype=float)
            days.append(np.where(heights[None, :] >= levels[:, None], when[None, :], np.inf).min(axis=1))
        return float((days[1] - days[0]).mean()) / 30.4375


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_figure_is_what_brute_force_finds(name: str) -> None:
    found, told = real_gap(name)
    brute = Brute.of(told, name)
    when = brute.as_of()
    scale = 100 if benchmark(name).scale == "proportion" else 1
    assert found.as_of == when
    closed, opened = brute.height(brute.closed, when), brute.height(brute.opened, when)
    assert found.gap.points == pytest.approx((closed - opened) * scale)
    since = brute.reached(brute.closed, opened, when)
    assert found.lag_now.matches_closed_of == since
    assert since is not None
    assert found.lag_now.months == pytest.approx((when - since).days / 30.4375)
    first = min(day for day, _ in brute.closed)
    assert found.lag_now.state == (">=" if since == first else "value")
    assert found.time_to_match.records == len(brute.closed_records(when))
    assert found.time_to_match.unmatched == sum(not matched for _, matched in brute.waits(when))
    assert found.time_to_match.median_months == pytest.approx(brute.median_wait(when))
    assert found.mean_horizontal_months == pytest.approx(brute.mean_horizontal(when), abs=0.02)
    scored = told[told["score"].notna()]
    for cls in ("closed", "open"):
        assert found.variants[cls] == scored[scored[f"{cls}_since"] <= pd.Timestamp(when)]["version"].nunique()


def test_gpqa_diamond_by_hand() -> None:
    """Gemini 3 Pro of 2025-11-18 at 92.61%, GLM-5 of 2026-02-11 at 87.82%: (0.92614 - 0.87817)/0.75 = 6.395 points."""
    found, _ = real_gap("gpqa-diamond")
    assert found.closed is not None
    assert found.open is not None
    assert (found.closed.version, found.open.version) == ("gemini-3-pro-preview", "glm-5")
    assert found.gap.points == pytest.approx((0.9261363636 - 0.8781725888) / 0.75 * 100)
    assert found.lag_now.matches_closed_of == date(2025, 11, 18)
    assert (found.time_to_match.records, found.time_to_match.unmatched) == (15, 1)
    assert found.time_to_match.median_months == pytest.approx(
        175 / 30.4375
    )  # o3-mini of 2025-01-31, matched on 2025-07-25
    assert found.gap.low is not None
    assert found.gap.high is not None
    assert found.gap.low < found.gap.points < found.gap.high


def test_mmlu_has_been_stale_since_2024_and_says_so() -> None:
    found, _ = real_gap("mmlu")
    assert (found.as_of, found.stale, found.stale_days) == (date(2024, 12, 11), True, 491)
    assert found.forecast.state == "refused"
    assert found.forecast.reason is not None
    assert "stale" in found.forecast.reason


def test_the_lag_of_a_benchmark_nobody_uses_grows_by_a_day_a_day_and_is_marked() -> None:
    rows, bench = scores.rows(observed("mmlu_external", "EM"), benchmark("mmlu")), benchmark("mmlu")
    then, now = (measure(rows, benchmark=bench, as_of=day) for day in (date(2025, 3, 1), date(2026, 4, 16)))
    assert then.lag_now.months is not None
    assert now.lag_now.months is not None
    assert now.lag_now.months - then.lag_now.months == pytest.approx(411 / 30.4375)
    assert (then.stale, now.stale) == (False, True)


def test_math_level_5_is_saturated_and_refused() -> None:
    found, _ = real_gap("math-level-5")
    assert found.forecast.reason is not None
    assert found.forecast.reason.startswith("saturated: the frontier is at 98%")


def test_a_lag_of_a_race_with_a_known_wait_is_found() -> None:
    """Closed sets a record every 6 months; open reaches each after 3 to 9 months, median 6."""
    rng, covered, medians, worlds = np.random.default_rng(0), 0, [], 200
    start = date(2020, 1, 1)
    for _ in range(worlds):
        releases = [start + timedelta(183 * i) for i in range(14)]
        end = releases[-1] + timedelta(120)
        waits = rng.uniform(3, 9, len(releases))
        matched = [day + timedelta(round(w * 30.4375)) for day, w in zip(releases, waits, strict=True)]
        rows = table(
            *(("c", day.isoformat(), 10.0 + i) for i, day in enumerate(releases)),
            *(("o", day.isoformat(), 10.0 + i) for i, day in enumerate(matched) if day <= end),
        )
        found = measure(rows, benchmark=POINTS, as_of=end).time_to_match
        assert found.median_months is not None
        assert found.low is not None
        medians.append(found.median_months)
        covered += found.low <= 6 <= (found.high or np.inf)
    assert np.mean(medians) == pytest.approx(6, abs=0.25)
    assert 0.85 <= covered / worlds <= 0.97
