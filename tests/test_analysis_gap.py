"""The gap of imported scores against a table worked out by hand: one benchmark, all, over time, under other choices."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import analysis, database, imports
from bench.analysis.gap import TABLE_COLUMNS, Asked, View, gap, gap_table, scale_of
from bench.analysis.versions import one_version
from bench.errors import ConfigError
from bench.frontier.sensitivity import COLUMNS as LINES

TODAY = dt.date(2025, 6, 1)
JUMPING = (  # model, vendor, class, released, score; a proportion that no catalogue knows
    ("ace-1", "Ace", "closed-api", "2024-01-01", 0.40),
    ("ace-2", "Ace", "closed-api", "2024-07-01", 0.60),
    ("bee-3", "Bee", "closed-api", "2025-01-01", 0.70),
    ("oak-1", "Oak", "weights-restricted", "2024-04-01", 0.35),
    ("elm-2", "Elm", "weights-unrestricted", "2024-10-01", 0.60),
    ("oak-3", "Oak", "weights-restricted", "2025-04-01", 0.65),
)
THROWING = (  # points; the open side leads
    ("ace-1", "Ace", "closed-api", "2024-01-01", 100),
    ("oak-1", "Oak", "weights-restricted", "2024-04-01", 120.5),
)
MONTH = 30.4375


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.delenv("BENCH_OVERRIDES", raising=False)
        yield


def rows(told: Sequence[tuple[str, str, str, str, float]], benchmark: str, **more: object) -> list[dict[str, object]]:
    names = ("model", "vendor", "grade", "released", "score")
    return [{**dict(zip(names, row, strict=True)), "benchmark": benchmark, **more} for row in told]


def imported(place: Path, *tables: Sequence[Mapping[str, object]]) -> Path:
    for k, told in enumerate(tables):
        path = place / f"{k}.csv"
        pd.DataFrame(list(told)).to_csv(path, index=False)
        imports.import_path("csv", path, place / "results")
    assert database.build(place / "results").problems == []
    return place / "results"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("world")
    few = [{**row, "benchmark_version": str(v)} for row in rows(THROWING, "spinning", scale="points") for v in range(6)]
    return imported(place, rows(JUMPING, "jumping"), rows(THROWING, "throwing", scale="points"), few)


def asked(**more: object) -> Asked:
    return Asked(**{"today": TODAY, "draws": 0, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def jumping(world: Path) -> View:
    return gap(world, "jumping", asked())


# -------------------------------------------------------------------------------------------------------------- by hand


def test_the_usual_date_is_the_last_with_news_of_both_and_figures_are_of_that_day(jumping: View) -> None:
    """On 2025-01-01: 0.70 against 0.60; the level of 0.60 was closed on 2024-07-01, 184 days before."""
    found = jumping.gap
    assert found.closed is not None
    assert found.open is not None
    assert (found.as_of, found.closed.model, found.open.model) == (dt.date(2025, 1, 1), "bee-3", "elm-2")
    assert found.gap.points == pytest.approx(10)
    assert (found.lag_now.state, found.lag_now.matches_closed_of) == ("value", dt.date(2024, 7, 1))
    assert found.lag_now.months == pytest.approx(184 / MONTH)
    assert found.stale_days == 151
    assert (found.unit, found.variants) == ("percentage points", {"closed": 3, "open": 2})


def test_the_time_to_match_counts_the_unmatched_record(jumping: View) -> None:
    """ace-1 waits 274 days, ace-2 92, bee-3 0 so far (censored): S(92) = 1/2."""
    match = jumping.gap.time_to_match
    assert (match.records, match.unmatched) == (3, 1)
    assert match.median_months == pytest.approx(92 / MONTH)


@pytest.mark.parametrize(
    ("as_of", "closed", "open_", "state", "days", "median_days"),
    [
        ("2025-06-01", 0.70, 0.65, "value", 151, 274),  # 92 of 3, then 151 censored, then 274
        ("2024-09-30", 0.60, 0.35, ">=", 273, None),
        ("2024-05-01", 0.40, 0.35, ">=", 121, None),
    ],
)
def test_what_came_after_the_date_asked_for_is_not_seen(
    world: Path, as_of: str, closed: float, open_: float, state: str, days: int, median_days: int | None
) -> None:
    found = gap(world, "jumping", asked(as_of=dt.date.fromisoformat(as_of))).gap
    assert found.gap.points == pytest.approx((closed - open_) * 100)
    assert found.lag_now.state == state
    assert found.lag_now.months == pytest.approx(days / MONTH)
    median = found.time_to_match.median_months
    assert median == (None if median_days is None else pytest.approx(median_days / MONTH))


def test_before_any_model_everything_is_undefined_and_nothing_breaks(world: Path) -> None:
    view = gap(world, "jumping", asked(as_of=dt.date(2020, 1, 1), draws=50))
    assert (view.gap.lag_now.state, view.gap.gap.points, view.gap.closed) == ("undefined", None, None)
    assert view.gap.forecast.state == "undefined"
    assert analysis.gap_series(view)["gap"].isna().all()
    assert (analysis.gap_sensitivity(world, view)["lag_state"] == "undefined").all()
    assert isinstance(view.gap.paragraph(), str)


def test_one_class_alone_is_undefined(world: Path) -> None:
    view = gap(world, "jumping", asked(as_of=dt.date(2024, 2, 1), draws=50))
    assert view.gap.closed is not None
    assert (view.gap.open, view.gap.gap.points, view.gap.lag_now.state) == (None, None, "undefined")


def test_a_benchmark_of_points_that_nobody_knows_keeps_its_points(world: Path) -> None:
    found = gap(world, "throwing", asked()).gap
    assert (found.gap.points, found.gap.logit, found.lag_now.state) == (-20.5, None, "open leads")
    assert "percent" not in found.unit


def test_the_unit_of_points_is_not_called_a_proportion(world: Path) -> None:
    assert gap(world, "throwing", asked()).gap.unit == "points"


def test_a_tolerance_is_in_points_of_the_answer(world: Path) -> None:
    """0.60 + 0.10 reaches bee-3's 0.70: lag 0 at the same day; without it 184 days."""
    found = gap(world, "jumping", asked(tolerance=10.0)).gap
    assert (found.lag_now.months, found.time_to_match.unmatched) == (0, 0)
    assert gap(world, "jumping", asked(tolerance=9.9)).gap.time_to_match.unmatched == 1


def test_where_open_begins_moves_models_to_the_other_side(world: Path) -> None:
    found = gap(world, "jumping", asked(open_at_least="weights-unrestricted", as_of=TODAY)).gap
    assert found.open is not None
    assert (found.open.model, found.variants) == ("elm-2", {"closed": 5, "open": 1})
    assert gap(world, "jumping", asked(open_at_least="fully-open")).gap.open is None


def test_the_dictionary_for_json_says_the_threshold_and_the_version(jumping: View) -> None:
    told = jumping.as_dict()
    assert (told["open_at_least"], told["benchmark_version"], told["as_of"]) == (
        "weights-noncommercial", None, "2025-01-01",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ intervals


def test_draws_are_seeded_and_an_unknown_error_makes_no_interval(world: Path) -> None:
    assert gap(world, "jumping", asked(draws=100)).gap.gap.low is None
    first, again, other = (gap(world.parent / "none", "eci", asked(draws=200, seed=s)).gap.gap for s in (0, 0, 1))
    assert first == again
    assert first.low != other.low
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.high


# ---------------------------------------------------------------------------------------------- versions of a benchmark


def observed(*told: tuple[str | None, str]) -> pd.DataFrame:
    """`(benchmark_version, model)`."""
    rows = [{"benchmark": "lmarena-text", "benchmark_version": v, "model": m, "released": pd.NaT} for v, m in told]
    return pd.DataFrame(rows)


def test_the_version_with_the_newest_model_counts_before_the_one_with_more() -> None:
    found = observed(("1.0", "a"), ("1.0", "b"), ("2.0", "c")).assign(
        released=pd.to_datetime(["2024-01-01", "2024-06-01", "2025-01-01"])
    )
    assert one_version(found, "lmarena-text", None)[1] == "2.0"


SNAPSHOTS = observed(("2025-01-28", "a"), ("2025-02-12", "a"), ("2025-02-12", "b"), ("2025-12-11", "a"))


@pytest.mark.parametrize(
    ("as_of", "chosen"),
    [(None, "2025-12-11"), ("2025-12-10", "2025-02-12"), ("2025-02-12", "2025-02-12"), ("2025-01-28", "2025-01-28")],
)
def test_of_snapshots_the_newest_by_the_date_counts_alone(as_of: str | None, chosen: str) -> None:
    part, version = one_version(SNAPSHOTS, "lmarena-text", None if as_of is None else dt.date.fromisoformat(as_of))
    assert version == chosen
    assert set(part["benchmark_version"]) == {chosen}


def test_before_the_oldest_snapshot_the_way_out_is_named() -> None:
    with pytest.raises(ConfigError, match="the oldest snapshot is of 2025-01-28, after 2024-12-31; ask for a later"):
        one_version(SNAPSHOTS, "lmarena-text", dt.date(2024, 12, 31))


def test_of_versions_the_one_with_the_most_models_counts_and_rows_without_one_go_with_it() -> None:
    found = observed(("1.0", "a"), ("1.0", "a"), ("1.0", "a"), ("1.1", "a"), ("1.1", "b"), (None, "c"))
    part, version = one_version(found, "lmarena-text", None)
    assert (version, sorted(part["model"])) == ("1.1", ["a", "b", "c"])


def test_of_equals_the_last_version_and_of_one_all() -> None:
    assert one_version(observed(("1.0", "a"), ("1.1", "a")), "lmarena-text", None)[1] == "1.1"
    part, version = one_version(observed(("1.0", "a"), (None, "b")), "lmarena-text", None)
    assert (len(part), version) == (2, "1.0")
    assert one_version(observed((None, "b")), "lmarena-text", None)[1] is None


def test_a_snapshot_without_a_date_does_not_hide_those_with_one() -> None:
    found = observed(("content 12ab34cd", "a"), ("content 12ab34cd", "b"), ("2025-02-12", "a"), ("2025-12-11", "b"))
    assert one_version(found, "lmarena-text", dt.date(2025, 3, 1))[1] == "2025-02-12"


@pytest.mark.parametrize("as_of", ["2025-06-01", "2026-02-12"])
def test_of_vintages_of_an_index_the_newest_counts_whatever_the_date(as_of: str) -> None:
    """A rating is of its day; a fitted index measures old models anew, so the newest ruler is the best for any day."""
    found = observed(("2025-12-17", "a"), ("2026-04-08", "a"), ("2026-04-08", "b")).assign(benchmark="eci")
    assert one_version(found, "eci", dt.date.fromisoformat(as_of))[1] == "2026-04-08"


# ------------------------------------------------------------------------------------------------------- unknown things


def test_names_are_ids_names_or_aliases_of_the_catalogue(tmp_path: Path) -> None:
    assert {gap(tmp_path, name, asked()).gap.benchmark for name in ("eci", "ECI", "Epoch Capabilities Index")} == {
        "eci"
    }


def test_an_unknown_benchmark_is_one_line_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^benchmark 'gpqa-dimond' is unknown; did you mean 'gpqa-diamond'\?$"):
        gap(tmp_path, "gpqa-dimond", asked())


def test_a_benchmark_of_ones_own_is_among_the_nearest(world: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'jumping'"):
        gap(world, "jumpin", asked())


def test_a_known_benchmark_without_scores_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lambada.*mmlu.*`bench import`") as caught:
        scale_of("lambada", pd.DataFrame({"benchmark": ["mmlu"]}))
    assert "\n" not in str(caught.value)


def test_without_any_own_score_the_message_does_not_list_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        gap(tmp_path, "eci", asked(provenance="own"))
    assert "  " not in str(caught.value)


def test_a_share_and_a_percent_of_one_benchmark_never_stand_on_one_frontier(tmp_path: Path) -> None:
    """0.71 told as a proportion, 35 told as points: not one scale, whatever the numbers look like."""
    results = imported(
        tmp_path,
        rows(JUMPING[:1], "leaping"),
        rows([("oak-1", "Oak", "weights-restricted", "2024-04-01", 35)], "leaping", scale="points"),
    )
    with pytest.raises(ConfigError, match="leaping"):
        gap(results, "leaping", asked())


def test_points_stay_points_where_all_of_them_are_under_one(tmp_path: Path) -> None:
    told = [(*row[:4], value) for row, value in zip(THROWING, (0.5, 0.2), strict=True)]
    results = imported(tmp_path, rows(told, "hours", scale="points"))
    assert gap(results, "hours", asked()).gap.gap.points == pytest.approx(0.3)


# ------------------------------------------------------------------------------------------------------------ the table


@pytest.fixture(scope="module")
def whole(world: Path) -> pd.DataFrame:
    return gap_table(world, Asked(draws=0))


def test_the_table_has_a_row_per_benchmark_with_enough_versions_of_each_class(whole: pd.DataFrame) -> None:
    assert tuple(whole.columns) == TABLE_COLUMNS
    assert whole["benchmark"].is_unique
    assert len(whole) >= 10
    assert not {"jumping", "throwing"} & set(whole["benchmark"])
    assert (whole[["n_closed", "n_open"]].min(axis=1) > 0).all()


def test_many_rows_of_one_version_are_not_many_versions(whole: pd.DataFrame) -> None:
    assert "spinning" not in set(whole["benchmark"])


def test_a_row_of_the_table_is_the_gap_of_that_benchmark(world: Path, jumping: View) -> None:
    row = gap_table(world, asked(), ["jumping", "throwing"]).iloc[0]
    found = jumping.gap
    assert (row["benchmark"], row["as_of"], row["closed_model"], row["open_model"]) == (
        "jumping", dt.date(2025, 1, 1), "bee-3", "elm-2",
    )  # fmt: skip
    assert (row["gap_points"], row["lag_months"]) == (found.gap.points, found.lag_now.months)
    assert (row["records"], row["unmatched"], row["stale_days"]) == (3, 1, 151)


def test_a_table_of_named_benchmarks_refuses_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'mmlu'"):
        gap_table(tmp_path, asked(), ["mmlu", "mmlo"])


def test_a_table_of_nothing_has_its_columns(tmp_path: Path) -> None:
    assert tuple(gap_table(tmp_path, asked(provenance="own")).columns) == TABLE_COLUMNS


def test_a_benchmark_that_began_later_does_not_end_the_table(tmp_path: Path) -> None:
    snapshots = [
        {**row, "benchmark_version": day, "model": f"{row['model']}{k}"}
        for row in rows(THROWING, "lmarena-text-juggling", scale="points")
        for day in ("2025-01-28", "2025-02-12")
        for k in "abcde"
    ]
    results = imported(tmp_path, snapshots)
    table = gap_table(results, asked(as_of=dt.date(2024, 6, 1)))
    assert "mmlu" in set(table["benchmark"])


# ----------------------------------------------------------------------------------------------- over time, and choices


def test_over_time_the_gap_is_that_of_each_day(world: Path, jumping: View) -> None:
    series = analysis.gap_series(jumping).set_index("date")
    assert series.index.is_monotonic_increasing
    assert series.index.max() == pd.Timestamp("2025-01-01")
    assert {f"{day:%Y-%m-%d}" for day in series.index} >= {"2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01"}
    by_hand = {"2024-05-01": (40, 35), "2024-08-01": (60, 35), "2024-10-01": (60, 60), "2025-01-01": (70, 60)}
    for day, (closed, open_) in by_hand.items():
        told = series.loc[pd.Timestamp(day)]
        assert told[["closed", "open", "gap"]].tolist() == pytest.approx([closed, open_, closed - open_])
    assert np.isnan(series.loc[pd.Timestamp("2024-01-01"), "gap"])


def test_records_are_the_rows_that_raised_a_frontier(jumping: View) -> None:
    found = analysis.records_of(jumping)
    assert found[found["cls"] == "closed"]["version"].tolist() == ["ace-1", "ace-2", "bee-3"]
    assert found[found["cls"] == "open"]["version"].tolist() == ["oak-1", "elm-2", "oak-3"]


def test_rows_for_a_chart_are_in_the_unit_of_the_answer(jumping: View) -> None:
    found = analysis.gap_rows(jumping).set_index("version")
    assert found.loc["bee-3", "value"] == pytest.approx(70)
    assert found[["low", "high"]].isna().all(axis=None)  # nobody told an error


@pytest.fixture(scope="module")
def lines(world: Path, jumping: View) -> pd.DataFrame:
    return analysis.gap_sensitivity(world, jumping)


def test_each_choice_is_a_line_as_of_the_same_day(lines: pd.DataFrame) -> None:
    assert list(lines.columns) == LINES
    assert set(lines["line"]) == {
        "as measured", "leave one lab out", "tolerance", "effort rule", "one score per version", "open at least",
    }  # fmt: skip
    assert lines.iloc[0][["line", "gap_points"]].tolist() == ["as measured", pytest.approx(10)]


@pytest.mark.parametrize(
    ("line", "what", "points", "state"),
    [
        ("leave one lab out", "Bee", 0, "value"),  # 0.60 against 0.60
        ("leave one lab out", "Ace", 10, ">="),  # only bee-3's record is left
        ("leave one lab out", "Elm", 35, ">="),  # 0.70 against oak-1's 0.35
        ("open at least", "weights-unrestricted", 10, "value"),
        ("open at least", "fully-open", None, "undefined"),
        ("effort rule", "none", 10, "value"),
    ],
)
def test_lines_are_what_a_hand_finds(
    lines: pd.DataFrame, line: str, what: str, points: float | None, state: str
) -> None:
    row = lines[(lines["line"] == line) & (lines["what"] == what)].iloc[0]
    assert row["lag_state"] == state
    assert np.isnan(row["gap_points"]) if points is None else row["gap_points"] == pytest.approx(points)


# ------------------------------------------------------------------------------------------------------------ the index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> View:
    return analysis.index_gap(tmp_path_factory.mktemp("index"), asked(as_of=dt.date(2026, 2, 11)), refits=0)


def test_an_index_over_the_bundled_facts_tells_a_gap_near_that_of_the_published_one(
    index: View, tmp_path: Path
) -> None:
    published = gap(tmp_path, "eci", asked(as_of=dt.date(2026, 2, 11))).gap
    found = index.gap
    assert found.gap.points is not None
    assert published.gap.points is not None
    assert found.gap.points == pytest.approx(published.gap.points, abs=2.5)
    assert (found.benchmark, found.unit, found.lag_now.state) == ("index", "index points", "value")
    assert found.closed is not None
    assert published.closed is not None
    assert found.closed.model == published.closed.model


def test_rows_of_an_index_are_models_with_a_class_by_the_date(index: View) -> None:
    rows = index.rows
    assert not rows.duplicated(["version", "cls"]).any()
    assert rows["since"].max() <= pd.Timestamp("2026-02-11")
    assert set(rows["cls"]) == {"open", "closed"}
    assert rows["value"].between(60, 170).all()


def test_refits_are_kept_and_the_same_question_gets_the_same_answer(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = analysis.index_gap(tmp_path, asked(), refits=4, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (4, 4)
    assert len(list((tmp_path / "cache" / "index").glob("*.npz"))) == 1
    assert first.gap.draws == 4
    assert first.draws is not None
    for damage in (None, b"", b"PK\x03\x04 not a zip"):
        (kept,) = (tmp_path / "cache" / "index").glob("*.npz")
        if damage is not None:
            kept.write_bytes(damage)
        again = analysis.index_gap(tmp_path, asked(), refits=4)
        assert again.gap.as_dict() == first.gap.as_dict()
        np.testing.assert_array_equal(again.draws, first.draws)


def test_where_refits_cannot_be_kept_there_is_an_answer_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    assert analysis.index_gap(tmp_path, asked(), refits=2).gap.draws == 2


# ----------------------------------------------------------------------------------------------- one row that cannot be


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """57.3 where a proportion is meant, the same model on three benchmarks more: as if an importer had let it in."""
    place = tmp_path_factory.mktemp("odd")
    names = ("gpqa-diamond", "otis-mock-aime", "frontiermath", "simplebench")
    plain = {"model": "fir-1", "released": "2026-01-01", "grade": "weights-restricted"}
    results = imported(place, [{**plain, "benchmark": name, "score": 0.573} for name in names])
    (told,) = results.glob("runs/*/published_scores.jsonl")
    told.write_text(told.read_text(encoding="utf-8").replace("0.573", "57.3", 1), encoding="utf-8")
    (results / database.NAME).unlink()
    assert database.build(results).problems == []
    return results


def test_a_score_that_is_no_proportion_is_named_with_its_row_and_the_way_out(odd: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gpqa-diamond: the score 57.3 of 'fir-1' is no proportion .* divisor"):
        gap(odd, "gpqa-diamond", asked())


def test_it_does_not_touch_other_benchmarks(odd: Path) -> None:
    assert gap(odd, "eci", asked()).gap.gap.points is not None


def test_it_does_not_end_the_table_of_all(odd: Path) -> None:
    assert "mmlu" in set(gap_table(odd, asked())["benchmark"])


def test_it_does_not_become_a_perfect_score_of_the_index(odd: Path) -> None:
    found = analysis.index_gap(odd, asked(), refits=0).gap.open
    assert found is not None
    assert found.version != "fir-1"


def test_dates_of_another_century_break_nothing(tmp_path: Path) -> None:
    told = [
        *JUMPING,
        ("old-1", "Old", "closed-api", "1900-01-01", 0.01),
        ("new-1", "New", "closed-api", "2199-01-01", 0.99),
    ]
    results = imported(tmp_path, rows(told, "jumping"))
    view = gap(results, "jumping", asked())
    assert view.gap.as_of == dt.date(2025, 1, 1)  # what is dated after today has not come
    assert view.gap.gap.points == pytest.approx(10)
    assert len(analysis.gap_series(view)) > 1000  # a row per month since 1900


def test_the_usual_date_is_never_after_today(tmp_path: Path) -> None:
    told = [
        *JUMPING,
        ("new-1", "New", "closed-api", "2199-01-01", 0.99),
        ("new-2", "New", "weights-restricted", "2199-01-01", 0.98),
    ]
    found = gap(imported(tmp_path, rows(told, "jumping")), "jumping", asked()).gap
    assert found.as_of is not None
    assert found.as_of <= TODAY
