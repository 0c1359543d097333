"""Others' figures, whole: imported twice, the gap on a dozen benchmarks, two of them recomputed from the files by hand.

Run with `-s` to see the table and the frontiers. `BENCH_REAL_DATA` says where the files are.
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from bench import analysis, database, imports
from bench.analysis.gap import Asked, View, gap, gap_table
from bench.catalog import overrides, published
from bench.catalog.benchmarks import benchmark
from bench.catalog.names import match
from bench.gap_tables import OVERVIEW_COLUMNS, overview
from tests.real_data import real

AS_OF = dt.date(2026, 4, 16)
MONTH = 30.4375
SHOWN = (
    "eci", "gpqa-diamond", "math-level-5", "otis-mock-aime", "frontiermath", "simplebench", "swe-bench-bash",
    "terminal-bench", "arc-agi", "chess-puzzles", "weirdml", "webdev-arena", "mmlu",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for name in ("BENCH_OVERRIDES", "BENCH_RESULTS"):
            patch.delenv(name, raising=False)
        yield


SETS = (("epoch", "epoch_hub_2026-04"), ("lmarena", "lmarena"), ("epoch", "epoch_eci_2026-02"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sets of the table in one store."""
    results = tmp_path_factory.mktemp("everything") / "results"
    for form, name in SETS:
        imports.import_path(form, real(name), results)
    assert database.build(results).problems == []
    return results


def test_a_second_import_of_every_real_set_adds_nothing(everything: Path, tmp_path: Path) -> None:
    imports.import_path("epoch", real("epoch_airtable_2025-12"), tmp_path)
    told = []
    for results, form, name in (
        *((everything, *one) for one in SETS),
        (tmp_path, "epoch", "epoch_airtable_2025-12"),
    ):
        before = sorted(path.name for path in (results / "runs").iterdir())
        again = imports.import_path(form, real(name), results)
        assert isinstance(again, imports.PublishedSummary)
        assert (again.added, again.read_anew) == (False, False)
        assert sorted(path.name for path in (results / "runs").iterdir()) == before
        assert again.n_read == again.n_kept + sum(sum(count.skipped.values()) for count in again.table)
        told.append((name, again.n_read, again.n_kept, again.n_scores, again.n_models, again.n_benchmarks))
    counts = analysis.observations(everything)["benchmark"].value_counts()
    database.build(everything)
    assert analysis.observations(everything)["benchmark"].value_counts().equals(counts)
    print("\n" + pd.DataFrame(told, columns=["set", "read", "kept", "scores", "models", "benchmarks"]).to_string())


# ------------------------------------------------------------------------------------------------------------ the table


@pytest.fixture(scope="module")
def table(everything: Path) -> pd.DataFrame:
    return gap_table(everything, Asked(as_of=AS_OF, today=AS_OF), list(SHOWN))


def test_gap_lag_and_time_to_match_are_told_of_a_dozen_benchmarks(table: pd.DataFrame) -> None:
    print("\n" + pd.DataFrame(overview(table), columns=list(OVERVIEW_COLUMNS)).to_string(index=False))
    assert table["benchmark"].tolist() == list(SHOWN)
    assert table["gap_points"].notna().all()
    assert set(table["lag_state"]) <= {"value", ">=", "open leads"}
    assert (table["unmatched"] <= table["records"]).all()
    inside = table.dropna(subset=["gap_low", "gap_high"])
    assert len(inside) >= 10
    assert (inside["gap_low"] < inside["gap_high"]).all()


def test_a_benchmark_that_nobody_uses_any_more_is_old(table: pd.DataFrame) -> None:
    age = table.set_index("benchmark")["stale_days"]
    assert age["mmlu"] > 365
    assert age["gpqa-diamond"] < 100


# ---------------------------------------------------------------------------------------------- by hand, from the files


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """One benchmark from its file and the list of open and closed versions; loops and dates, nothing of ours."""

    closed: list[tuple[dt.date, float, str]]
    opened: list[tuple[dt.date, float, str]]

    @classmethod
    def of(cls, name: str, column: str, chance: float, n_items: int) -> ByHand:
        with (real("accessibility") / "open_closed_by_model_version.csv").open(encoding="utf-8-sig") as file:
            classes = {row["model_version"]: row["weights_class"] for row in csv.DictReader(file)}
        best: dict[tuple[str, str], tuple[dt.date, float, str]] = {}
        with (real("epoch_hub_2026-04") / f"{name}.csv").open(encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                raw, score, released = row["Model version"], row[column], row["Release date"]
                side = classes.get(raw, "unknown")
                if not (raw and score and released) or side not in ("open", "closed"):
                    continue
                day, version = dt.date.fromisoformat(released), match(raw).version
                value = min(max((float(score) - chance) / (1 - chance), 1 / (2 * n_items)), 1 - 1 / (2 * n_items))
                first, highest, _ = best.get((version, side), (day, -1.0, version))
                if day <= AS_OF:
                    best[version, side] = (min(first, day), max(highest, value), version)
        sides = {side: sorted(v for (_, s), v in best.items() if s == side) for side in ("closed", "open")}
        return cls(closed=sides["closed"], opened=sides["open"])

    @staticmethod
    def records(side: list[tuple[dt.date, float, str]]) -> list[tuple[dt.date, float, str]]:
        found: list[tuple[dt.date, float, str]] = []
        for day in sorted({day for day, _, _ in side}):
            _, value, version = max((row for row in side if row[0] == day), key=lambda row: row[1])
            if not found or value > found[-1][1]:
                found.append((day, value, version))
        return found

    def gap(self) -> float:
        return 100 * (max(v for _, v, _ in self.closed) - max(v for _, v, _ in self.opened))

    def lag(self) -> tuple[dt.date, float]:
        best = max(v for _, v, _ in self.opened)
        since = min(day for day, v, _ in self.closed if v >= best)
        return since, (AS_OF - since).days / MONTH

    def waits(self) -> list[tuple[float, bool]]:
        found = []
        for day, level, _ in self.records(self.closed):
            matched = [d for d, v, _ in self.opened if v >= level]
            found.append((max((min(matched, default=AS_OF) - day).days, 0) / MONTH, bool(matched)))
        return found

    def median(self) -> float | None:
        surviving, waits = 1.0, self.waits()
        for time in sorted({wait for wait, matched in waits if matched}):
            events, at_risk = sum(w == time and m for w, m in waits), sum(w >= time for w, _ in waits)
            surviving *= 1 - events / at_risk
            if surviving <= 0.5:
                return time
        return None


DIFFERENT = {
    # our grades begin on a day: the weights of Grok 2 came in August 2025, and the list calls it closed
    ("grok-2-1212", "open"): "ours",
    # the list's own rule of names; Epoch tells no accessibility of them, and we guess none
    ("gpt-5.4-mini-2026-03-17", "closed"): "list",
    ("gpt-5.4-nano-2026-03-17", "closed"): "list",
}
"""Why a version stands on one side only; none of them sets a record."""
HAND = {
    "gpqa-diamond": ("gpqa_diamond", "mean_score", 0.25, 198),
    "swe-bench-bash": ("swe_bench_bash", "% Resolved", 0.0, 500),
    "math-level-5": ("math_level_5", "mean_score", 0.0, 1324),
}


@pytest.mark.parametrize("name", HAND)
def test_what_a_hand_finds_in_the_files_is_what_is_told(everything: Path, name: str) -> None:
    file, column, chance, n_items = HAND[name]
    assert (benchmark(name).chance, benchmark(name).n_items) == (chance, n_items)
    hand, view = ByHand.of(file, column, chance, n_items), gap(everything, name, Asked(as_of=AS_OF, draws=0))
    found, records = view.gap, analysis.records_of(view)
    for cls, side in (("closed", hand.closed), ("open", hand.opened)):
        told = records[records["cls"] == cls]
        by_hand = hand.records(side)
        print(f"\n{name}, {cls}: " + "; ".join(f"{day} {version} {100 * value:.1f}" for day, value, version in by_hand))
        assert [version for _, _, version in by_hand] == told["version"].tolist()
        assert [day for day, _, _ in by_hand] == [day.date() for day in told["since"]]
    assert found.gap.points == pytest.approx(hand.gap())
    since, months = hand.lag()
    assert (found.lag_now.matches_closed_of, found.lag_now.months) == (since, pytest.approx(months))
    assert (found.time_to_match.records, found.time_to_match.unmatched) == (
        len(hand.waits()), sum(not matched for _, matched in hand.waits()),
    )  # fmt: skip
    assert found.time_to_match.median_months == pytest.approx(hand.median())


@pytest.mark.parametrize("name", HAND)
def test_versions_that_stand_on_one_side_only_are_known_and_why(everything: Path, name: str) -> None:
    hand, view = ByHand.of(*HAND[name]), gap(everything, name, Asked(as_of=AS_OF, draws=0))
    ours = set(zip(view.rows["version"], view.rows["cls"], strict=True))
    theirs = {(v, cls) for cls, side in (("closed", hand.closed), ("open", hand.opened)) for _, _, v in side}
    assert {**dict.fromkeys(ours - theirs, "ours"), **dict.fromkeys(theirs - ours, "list")} == {
        key: why for key, why in DIFFERENT.items() if key in ours ^ theirs
    }


# -------------------------------------------------------------------------------------------------------------- LMArena


def test_the_arenas_gap_of_february_2025_is_what_the_ai_index_reports(everything: Path) -> None:
    """Stanford's AI Index 2025: 1.70% of the closed rating on 2025-02-12, down from 8.04% a year before."""
    view = gap(everything, "lmarena-text", Asked(as_of=dt.date(2025, 2, 12)))
    found = view.gap
    assert found.closed is not None
    assert found.open is not None
    assert found.gap.points is not None
    share = 100 * found.gap.points / found.closed.score
    best = ", ".join(f"{held.model} {held.score:.1f}" for held in (found.closed, found.open))
    gap_now = f"{found.gap.points:.1f} points [{found.gap.low:.1f}, {found.gap.high:.1f}]"
    print(f"\nLMArena {view.version}: {best}: {gap_now}, {share:.2f}% of the closed rating")
    assert view.version == "2025-02-12"
    assert 1.5 <= share <= 1.9


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ratings and the arena's own licence labels, as it publishes them, without anybody's corrections."""
    place = tmp_path_factory.mktemp("labels")
    for name in ("arena_history.csv", "scatterplot-data.json", "leaderboard_table_last_2024-10.csv"):
        (place / "arena").mkdir(exist_ok=True)
        shutil.copy(real("lmarena") / name, place / "arena" / name)
    imports.import_path("lmarena", place / "arena", place / "results")
    database.build(place / "results")
    return place / "results"


def best_open(results: Path, name: str, as_of: str) -> str:
    found = gap(results, name, Asked(as_of=dt.date.fromisoformat(as_of), draws=0)).gap.open
    assert found is not None
    return found.model


MAVERICK, QWEN = "llama-4-maverick-03-26-experimental", "qwen3-max-preview"
LABELLED_OPEN = ((MAVERICK, "lmarena-text", "2025-05-24"), (QWEN, "lmarena-text-style", "2025-12-11"))


@pytest.mark.parametrize(("model", "name", "as_of"), LABELLED_OPEN)
def test_a_model_that_is_only_labelled_open_is_not_the_best_open_one(
    labels: Path, model: str, name: str, as_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = best_open(labels, name, as_of)
    assert told != model
    bare = overrides.Overrides(aliases={}, access={})
    monkeypatch.setattr(overrides, "load_overrides", lambda *_: bare)
    if model == QWEN:  # known twice: the bundled facts say that it is served by API only, too
        facts = published.access()
        monkeypatch.setattr(published, "access", lambda: facts[~facts["model"].str.startswith("qwen3-max")])
    print(f"\n{name} {as_of}: best open {told}; without what corrects the label: {best_open(labels, name, as_of)}")
    assert best_open(labels, name, as_of) == model


def test_with_its_bundled_grade_alone_qwen3_max_is_caught_too(labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = overrides.load_overrides()
    without = overrides.Overrides(aliases=bare.aliases, access={})
    monkeypatch.setattr(overrides, "load_overrides", lambda *_: without)
    assert best_open(labels, "lmarena-text-style", "2025-12-11") != QWEN


# -------------------------------------------------------------------------------------------------- two vintages of one


@pytest.fixture(scope="module")
def eci(everything: Path) -> View:
    return gap(everything, "eci", Asked(as_of=AS_OF))


def test_two_vintages_of_the_published_index_are_not_one_scale(everything: Path, eci: View) -> None:
    frame = analysis.observations(everything, benchmarks=["eci"])
    assert frame["benchmark_version"].nunique() >= 2
    print(f"\neci: version {eci.version} of {sorted(frame['benchmark_version'].dropna().unique())}")


def test_the_score_of_a_later_snapshot_is_not_dated_back_to_the_first(eci: View) -> None:
    """The index of February 2026 calls DeepSeek-V3 of March 2025 (136.5) DeepSeek-V3; that of December has 133.1."""
    first = eci.rows[(eci.rows["model"] == "deepseek-v3") & (eci.rows["since"] == pd.Timestamp("2024-12-26"))]
    assert first["value"].max() < 134


def test_an_import_does_not_take_the_interval_from_the_headline(eci: View, tmp_path: Path) -> None:
    assert gap(tmp_path, "eci", Asked(as_of=dt.date(2026, 2, 12))).gap.gap.low is not None
    assert eci.gap.gap.low is not None


@pytest.mark.parametrize("as_of", ["2025-06-01", "2026-02-12"])
def test_after_an_import_the_headline_of_a_day_is_still_told_and_about_the_same(
    everything: Path, tmp_path: Path, as_of: str
) -> None:
    day = dt.date.fromisoformat(as_of)
    bundled, found = (gap(where, "eci", Asked(as_of=day, draws=0)).gap for where in (tmp_path, everything))
    assert bundled.gap.points is not None
    assert found.gap.points == pytest.approx(bundled.gap.points, abs=1)
