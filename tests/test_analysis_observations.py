"""Scores of others and of our own as one table: which row counts, what is known of its model, what stands together."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import database, imports
from bench.analysis import OBSERVATION_COLUMNS, observations
from bench.analysis.gap import Asked, gap
from bench.analysis.own_scores import _model_name
from bench.catalog import load
from bench.catalog import published as bundled
from bench.catalog.names import match
from bench.errors import ConfigError
from tests.judged_runs import judged
from tests.published_files import AIRTABLE, HUB, folder, lmarena

RUN = "20261103T000000000Z-{}"


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.delenv("BENCH_OVERRIDES", raising=False)
        yield


def table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(list(rows)).to_csv(path, index=False)
    return path


def imported(place: Path, rows: Sequence[Mapping[str, object]], name: str = "mine") -> Path:
    """The results folder after an import of rows written by hand."""
    imports.import_path("csv", table(place / f"{name}.csv", rows), place / "results")
    assert database.build(place / "results").problems == []
    return place / "results"


def of(frame: pd.DataFrame, **equal: object) -> pd.DataFrame:
    for column, value in equal.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    return frame


# ------------------------------------------------------------------------------------------------------ a fresh machine


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    place = tmp_path_factory.mktemp("fresh") / "results"
    frame = observations(place)
    assert not place.exists()
    return frame


def test_without_a_store_every_bundled_score_is_there_once_and_dated(fresh: pd.DataFrame) -> None:
    assert tuple(fresh.columns) == OBSERVATION_COLUMNS
    assert len(fresh) == len(bundled.scores())
    assert fresh["released"].notna().all()
    assert set(fresh["provenance"]) == {"published"}
    assert fresh["model"].nunique() >= 120
    assert not fresh.duplicated(["version", "effort", "benchmark", "source"]).any()


def test_a_bundled_name_is_matched_to_the_model_that_the_file_says(fresh: pd.DataFrame) -> None:
    told = bundled.scores()
    assert (fresh["raw"] == told["version"]).all()
    apart = fresh[fresh["model"].to_numpy() != told["model"].to_numpy()]
    assert apart.empty, apart[["raw", "model"]].drop_duplicates().to_string()


def test_everybody_is_in_a_class_and_closed_comes_before_open(fresh: pd.DataFrame) -> None:
    assert (fresh["closed_since"].notna() | fresh["open_since"].notna()).all()
    both = fresh.dropna(subset=["closed_since", "open_since"])
    assert (both["closed_since"] < both["open_since"]).all()
    assert "grok-2-1212" in set(both["version"])


def test_only_what_is_asked_for_comes_and_nothing_of_a_benchmark_nobody_measured(tmp_path: Path) -> None:
    assert set(observations(tmp_path, benchmarks=["mmlu", "gpqa-diamond"])["benchmark"]) == {"mmlu", "gpqa-diamond"}
    assert observations(tmp_path, benchmarks=["no-such"]).empty
    assert tuple(observations(tmp_path, benchmarks=["no-such"]).columns) == OBSERVATION_COLUMNS


def test_the_grade_is_that_of_the_day_asked_for(tmp_path: Path) -> None:
    def grade(day: dt.date | None) -> set[str]:
        return set(of(observations(tmp_path, as_of=day), version="grok-2-1212")["grade"])

    assert (grade(dt.date(2025, 8, 22)), grade(dt.date(2025, 8, 23))) == ({"closed-api"}, {"weights-restricted"})
    assert grade(None) == {"weights-restricted"}


def test_a_provenance_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="provenance 'mine' is none of published, own, combined"):
        observations(Path("nowhere"), provenance="mine")


# -------------------------------------------------------------------------------------------------------------- imports

BUNDLED = bundled.scores()
WELL_KNOWN = BUNDLED[(BUNDLED["benchmark"] == "gpqa-diamond") & BUNDLED["effort"].notna()].iloc[-1]
DATED = BUNDLED[(BUNDLED["benchmark"] == "mmlu") & BUNDLED["effort"].isna()].iloc[-1]
ROWS: list[dict[str, object]] = [
    # the same version, effort and benchmark as a bundled row, written as a source may write it
    {"model": f"fireworks/{WELL_KNOWN['version']}_{WELL_KNOWN['effort']}", "benchmark": "GPQA diamond", "score": 0.123},
    # another effort of it
    {"model": f"{WELL_KNOWN['version']}_33K", "benchmark": "gpqa-diamond", "score": 0.456},
    # a version that the bundled facts know, without a date
    {"model": DATED["version"], "benchmark": "jumping", "score": 0.5},
    # nobody knows it, and no date
    {"model": "nobody-1", "benchmark": "jumping", "score": 0.6},
    {"model": "Some Lab: Fir 1 (high)", "benchmark": "jumping", "score": 0.7, "released": "2025-03-01", "vendor": "Fir",
     "display_name": "Fir One", "grade": "weights-unrestricted"},
]  # fmt: skip


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return observations(imported(tmp_path_factory.mktemp("theirs"), ROWS))


def test_an_imported_row_replaces_the_bundled_one_of_the_same_version_effort_and_benchmark(
    theirs: pd.DataFrame,
) -> None:
    here = of(theirs, version=WELL_KNOWN["version"], benchmark="gpqa-diamond")
    same = here[here["effort"] == WELL_KNOWN["effort"]]
    assert same["score"].tolist() == [0.123]
    assert same["host"].tolist() == ["fireworks"]
    assert of(here, effort="33K")["score"].tolist() == [0.456]


def test_it_does_so_too_where_it_names_a_version_of_the_benchmark(tmp_path: Path) -> None:
    """Else the bundled, rounded score of the same thing stands beside it, and the better of the two counts."""
    results = imported(tmp_path, [{**ROWS[0], "benchmark_version": "2026-04-08"}])
    here = of(observations(results, benchmarks=["gpqa-diamond"]), version=WELL_KNOWN["version"])
    assert here[here["effort"] == WELL_KNOWN["effort"]]["score"].tolist() == [0.123]


def test_the_error_of_another_score_is_not_taken_over(theirs: pd.DataFrame) -> None:
    assert WELL_KNOWN["stderr"] > 0
    here = of(theirs, version=WELL_KNOWN["version"], benchmark="gpqa-diamond", effort=WELL_KNOWN["effort"])
    assert here["stderr"].isna().all()


def test_all_other_bundled_rows_stay(theirs: pd.DataFrame) -> None:
    assert len(theirs) == len(BUNDLED) - 1 + len(ROWS)


def test_a_date_of_release_comes_from_the_facts_where_the_source_has_none(theirs: pd.DataFrame) -> None:
    row = of(theirs, benchmark="jumping", version=DATED["version"]).iloc[0]
    assert (row["released"], row["vendor"]) == (DATED["released"], DATED["vendor"])


def test_where_nobody_knows_the_date_the_row_is_kept_and_in_no_class(theirs: pd.DataFrame) -> None:
    row = of(theirs, version="nobody-1").iloc[0]
    assert row[["released", "open_since", "closed_since"]].isna().all()
    assert row["score"] == 0.6


def test_the_label_is_the_display_name_and_the_source_keeps_its_own_words(theirs: pd.DataFrame) -> None:
    row = of(theirs, raw="Some Lab: Fir 1 (high)").iloc[0]
    assert (row["label"], row["effort"], row["grade"]) == ("Fir One", "high", "weights-unrestricted")
    assert row["open_since"] == pd.Timestamp("2025-03-01")


def test_ratings_date_a_model_by_the_first_snapshot_that_has_it(tmp_path: Path) -> None:
    imports.import_path("lmarena", folder(tmp_path / "arena", lmarena()), tmp_path / "results")
    database.build(tmp_path / "results")
    frame = of(observations(tmp_path / "results", benchmarks=["lmarena-text", "lmarena-text-coding"]), version="ace-1")
    frame = frame[frame["source"].str.contains("LMArena")]
    assert set(frame["benchmark_version"]) == {"2025-02-12", "2025-12-11"}
    assert set(frame["released"]) == {pd.Timestamp("2025-02-12")}


def test_a_first_snapshot_of_another_category_counts_too(tmp_path: Path) -> None:
    """`knitting` is rated in December only, yet the model was out in February."""
    imports.import_path("lmarena", folder(tmp_path / "arena", lmarena()), tmp_path / "results")
    database.build(tmp_path / "results")
    frame = observations(tmp_path / "results")
    knitting = frame[frame["benchmark"].str.contains("knitting")]
    assert knitting["released"].tolist() == [pd.Timestamp("2025-02-12")]


# ---------------------------------------------------------------------------------------- the same thing imported twice


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layouts of one source: the hub's zip and the Airtable export have GPQA of ace-1, high: 0.85 ± 0.02."""
    place = tmp_path_factory.mktemp("overlapping")
    for name, files in (("hub", HUB), ("airtable", AIRTABLE)):
        imports.import_path("epoch", folder(place / name, files), place / "results")
    assert database.build(place / "results").problems == []
    return place / "results"


def test_overlapping_imports_count_as_one_version_on_the_frontier(overlapping: Path) -> None:
    view = gap(overlapping, "gpqa-diamond", Asked(draws=0))
    ace = view.rows[view.rows["model"] == "ace-1"]
    assert len(ace) == 1
    assert ace["score"].iloc[0] == 0.85


def test_a_row_that_two_files_tell_alike_is_one_row(tmp_path: Path) -> None:
    same = {"model": "ace-1", "benchmark": "jumping", "released": "2024-01-01", "grade": "closed-api", "source": "Ace"}
    imported(tmp_path, [{**same, "score": 0.4}, {**same, "score": 0.6}], "a")
    results = imported(tmp_path, [{**same, "score": 0.4}], "b")
    view = gap(results, "jumping", Asked(draws=0, rule="mean"))
    assert view.rows["score"].tolist() == [0.5]
    assert view.rows["n_rows"].tolist() == [2]


def test_equal_scores_of_several_runs_in_one_file_are_several_rows(tmp_path: Path) -> None:
    same = {"model": "ace-1", "benchmark": "jumping", "released": "2024-01-01", "grade": "closed-api", "source": "Ace"}
    results = imported(tmp_path, [{**same, "score": 0.4}, {**same, "score": 0.4}, {**same, "score": 0.7}])
    view = gap(results, "jumping", Asked(draws=0, rule="mean"))
    assert view.rows["score"].tolist() == [pytest.approx(0.5)]
    assert view.rows["n_rows"].tolist() == [3]


def test_of_two_rows_alike_the_one_that_tells_its_error_stays(tmp_path: Path) -> None:
    same = {"model": "ace-1", "benchmark": "jumping", "released": "2024-01-01", "grade": "closed-api", "source": "Ace"}
    imported(tmp_path, [{**same, "score": 0.4}], "a")
    results = imported(tmp_path, [{**same, "score": 0.4, "stderr": 0.02}], "b")
    assert gap(results, "jumping", Asked(draws=0)).rows["stderr"].tolist() == [0.02]


# --------------------------------------------------------------------------------------------------------- our own runs


def right(share: float, n: int = 100) -> list[list[float | None]]:
    return [[1.0]] * round(share * n) + [[0.0]] * round((1 - share) * n)


OWN = {"lab:pine-1": 0.9, "lab:pine-2": 0.7, "lab:pine-3": 0.5, "lab:pine-4": 0.3}
PUBLISHED = {"pine-1": 0.8, "pine-2": 0.65, "pine-3": 0.45, "pine-5": 0.95, "pine-6": 0.1}
"""Own minus published: 0.1, 0.05, 0.05 -> mean 1/15, standard deviation 0.0288675, error of the mean 1/60."""
SHIFT, DOUBT = 0.2 / 3, 1 / 60


def measured(results: Path, own: Mapping[str, float] = OWN) -> None:
    for k, (target, share) in enumerate(own.items()):
        judged(
            results, RUN.format(k), target, {"gsm8k": right(share), "quick_copy": right(share)}, layer="hosted-closed"
        )


def others(
    scores: Mapping[str, float] = PUBLISHED, *, benchmark: str = "gsm8k", **more: object
) -> list[dict[str, object]]:
    plain = {"released": "2025-01-01", "grade": "closed-api", "stderr": 0.03}
    return [{"model": name, "benchmark": benchmark, "score": s, **plain, **more} for name, s in scores.items()]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("both")
    measured(place / "results")
    judged(place / "results", RUN.format("ref"), "embedded:small", {"gsm8k": right(0.99)}, layer="reference")
    return imported(place, others())


def test_own_runs_are_rows_without_the_models_that_come_with_the_package(both: Path) -> None:
    frame = observations(both, provenance="own")
    assert set(frame["provenance"]) == {"own"}
    assert not frame["raw"].str.contains("embedded").any()
    gsm8k = of(frame, benchmark="gsm8k").set_index("model")
    assert gsm8k.loc[["pine-2", "pine-3", "pine-4"], "score"].to_dict() == pytest.approx(
        {"pine-2": 0.7, "pine-3": 0.5, "pine-4": 0.3}
    )
    assert set(gsm8k["n_items"]) == {100}
    assert set(gsm8k["evaluated_on"]) == {pd.Timestamp("2026-11-03")}


def test_a_task_of_ours_is_a_benchmark_by_suite_version_and_task(both: Path) -> None:
    frame = observations(both, provenance="own")
    assert "quick@1/quick_copy" in set(frame["benchmark"])
    assert set(of(frame, benchmark="quick@1/quick_copy")["benchmark_version"]) == {"1"}


def test_the_error_of_an_own_score_is_that_of_its_interval(both: Path) -> None:
    row = of(observations(both, provenance="own", benchmarks=["gsm8k"]), model="pine-3").iloc[0]
    assert row["stderr"] == pytest.approx(0.05, abs=0.004)  # sqrt(0.5 * 0.5 / 100)


def test_own_scores_are_never_among_the_published_nor_the_other_way_round(both: Path) -> None:
    assert "pine-4" not in set(observations(both)["model"])
    assert "pine-5" not in set(observations(both, provenance="own")["model"])


def test_without_runs_there_are_no_own_rows_but_all_columns(tmp_path: Path) -> None:
    frame = observations(tmp_path, provenance="own")
    assert (len(frame), tuple(frame.columns)) == (0, OBSERVATION_COLUMNS)


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ("ollama:qwen3:8b", "qwen3-8b"),
        ("ollama:llama3.3:latest", "llama-3.3"),
        ("openrouter:deepseek/deepseek-r1:free", "deepseek-r1"),
        ("openrouter:x-ai/grok-4:nitro", "grok-4"),
        ("bedrock:anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku"),
        ("http://localhost:8000/v1#Qwen/Qwen3-8B", "qwen3-8b"),
        ("vllm@qwen3-8b", "qwen3-8b"),
        ("openai:gpt-5", "gpt-5"),
    ],
)
def test_a_target_is_called_after_its_model_whatever_stands_around_it(spec: str, model: str) -> None:
    assert match(_model_name(load(), spec)).model == model


# ---------------------------------------------------------------------------------------------------- both on one scale


def test_published_scores_are_moved_by_the_mean_difference_over_the_models_both_measured(both: Path) -> None:
    frame = observations(both, provenance="combined", benchmarks=["gsm8k"]).set_index("model")
    assert set(frame["provenance"]) == {"combined"}
    assert frame.loc["pine-6", "score"] == pytest.approx(0.1 + SHIFT)
    assert frame.loc["pine-6", "stderr"] == pytest.approx(np.hypot(0.03, DOUBT))


def test_own_rows_stay_and_replace_the_published_ones(both: Path) -> None:
    frame = observations(both, provenance="combined", benchmarks=["gsm8k"])
    assert {m: of(frame, model=m)["score"].tolist() for m in ("pine-1", "pine-4")} == {"pine-1": [0.9], "pine-4": [0.3]}


def test_every_other_published_model_is_moved_alike(both: Path) -> None:
    before = observations(both, benchmarks=["gsm8k"])
    after = observations(both, provenance="combined", benchmarks=["gsm8k"])
    kept = before[~before["model"].isin([f"pine-{k}" for k in (1, 2, 3)]) & (before["score"] < 1 - SHIFT)]
    moved = after.set_index(["version", "effort", "source"])["score"]
    told = kept.set_index(["version", "effort", "source"])["score"]
    assert len(told) > 10
    assert (moved.reindex(told.index) - told).to_numpy() == pytest.approx(SHIFT)


def test_under_three_shared_models_nothing_is_combined(tmp_path: Path) -> None:
    measured(tmp_path / "results", {name: OWN[name] for name in ("lab:pine-1", "lab:pine-2")})
    results = imported(tmp_path, others())
    frame = observations(results, provenance="combined")
    assert (len(frame), tuple(frame.columns)) == (0, OBSERVATION_COLUMNS)


def test_a_moved_score_stays_a_proportion(both: Path) -> None:
    scores = observations(both, provenance="combined", benchmarks=["gsm8k"])["score"]
    assert scores.between(0, 1).all()


def test_published_scores_on_another_version_of_the_benchmark_are_not_combined(tmp_path: Path) -> None:
    measured(tmp_path / "results")
    results = imported(tmp_path, others(benchmark_version="2024-platinum"))
    frame = of(observations(results, provenance="combined", benchmarks=["gsm8k"]), model="pine-6")
    assert frame.empty
