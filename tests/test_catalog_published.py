"""The bundled facts: complete, in range, and each within rounding of the file of others it names."""

from __future__ import annotations

import csv
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from bench.catalog import published
from bench.catalog.benchmarks import Reading, benchmarks
from bench.catalog.grades import GRADES, OPEN, at_least
from bench.catalog.names import match
from bench.catalog.overrides import packaged
from tests.real_data import real

SCORES = published.scores()
ACCESS = published.access()
LICENCES = {"CC-BY 4.0 (Epoch AI)", "Apache-2.0 (LMArena)", "fact"}


def test_they_cover_enough_models_of_every_year_and_both_sides() -> None:
    assert SCORES.model.nunique() >= 160
    assert set(SCORES.released.dt.year) == {2022, 2023, 2024, 2025, 2026}
    open_models = set(ACCESS.model[[at_least(grade, OPEN) for grade in ACCESS.grade]])
    assert 50 < len(open_models & set(SCORES.model)) < SCORES.model.nunique() - 50


def test_every_model_with_a_score_has_a_grade() -> None:
    assert set(SCORES.model) <= set(ACCESS.model)


@pytest.mark.parametrize("frame", [SCORES, ACCESS], ids=["scores", "access"])
def test_every_row_says_where_it_is_from_and_under_which_licence(frame: pd.DataFrame) -> None:
    assert frame.source.notna().all()
    assert set(frame.licence) <= LICENCES
    assert (frame.source != frame.source_2).all()


def test_a_model_has_one_vendor_in_both_files() -> None:
    vendors = pd.concat([SCORES[["model", "vendor"]], ACCESS[["model", "vendor"]]])
    assert vendors.vendor.notna().all()
    assert (vendors.groupby("model").vendor.nunique() == 1).all()


def test_most_figures_and_grades_were_checked_against_a_second_source() -> None:
    assert SCORES.source_2.notna().mean() > 0.6
    assert ACCESS.source_2.notna().mean() > 0.5


def test_every_benchmark_is_known_and_every_score_in_its_range() -> None:
    known = benchmarks()
    for benchmark, scores in SCORES.groupby("benchmark").score:
        item = known[str(benchmark)]
        low, high = (0.0, item.ceiling) if item.scale == "proportion" else (50.0, 2000.0)
        assert scores.between(low, high).all(), benchmark
    assert (SCORES.stderr.dropna() > 0).all(), "an error of nothing is an error not known"
    assert "nan" not in set(SCORES.effort)
    assert len(set(SCORES.benchmark)) >= 13


def test_figures_of_one_benchmark_are_all_of_one_version_and_that_of_the_file_they_are_from() -> None:
    told = SCORES.groupby("benchmark").benchmark_version
    assert (told.nunique(dropna=False) == 1).all()
    named = {str(name): version for name, version in told.first().items() if version is not None}
    dated = {"eci": "2026-04-08", "lmarena-text": "2025-12-17", "lmarena-text-style": "2025-12-17"}
    assert {name: named.pop(name) for name in dated} == dated
    assert pd.Timestamp(dated["eci"]) == SCORES[SCORES.benchmark == "eci"].released.max()
    assert named == {
        name: version
        for name in SCORES.benchmark.unique()
        if (hub := benchmarks()[name].layouts.get("hub")) and (version := hub.version)
    }


def test_a_version_has_one_score_per_benchmark_and_one_day_of_release() -> None:
    assert not SCORES.duplicated(["version", "benchmark"]).any()
    assert (SCORES.groupby("version").released.nunique() == 1).all()
    assert SCORES.released.notna().all()
    assert SCORES.vendor.notna().all()


def test_the_names_in_the_files_are_what_the_rules_make_of_them() -> None:
    for version, model in SCORES[["version", "model"]].drop_duplicates().itertuples(index=False):
        assert match(version).model == model
    for model in ACCESS.model.unique():
        assert match(model).model == model, model


def test_the_grades_of_a_model_never_overlap() -> None:
    assert set(ACCESS.grade) <= set(GRADES)
    for model, facts in ACCESS.sort_values("valid_from").groupby("model"):
        ends = facts.valid_to.tolist()[:-1]
        assert all(not pd.isna(end) for end in ends), model
        assert ends == facts.valid_from.tolist()[1:], f"{model}: a gap or an overlap"
        assert pd.isna(facts.valid_to.iloc[-1])


def test_the_layers_say_what_the_grade_says() -> None:
    for row in ACCESS.to_dict("records"):
        opened, model = at_least(row["grade"], OPEN), row["model"]
        assert (row["weights"] != "closed") == opened, model
        assert (row["architecture"] == "open") == opened, model
        assert (row["grade"] == "fully-open") == (row["training_data"] == "open"), model
        assert row["training_code"] in {"open", "closed", None}, model


def test_the_packaged_overrides_and_the_bundled_grades_agree() -> None:
    for model, facts in packaged().access.items():
        ours = ACCESS[ACCESS.model == model]
        assert [(f.grade, pd.Timestamp(f.valid_from)) for f in facts] == [
            (grade, day) for grade, day in zip(ours.grade, ours.valid_from, strict=True)
        ], model


@pytest.mark.parametrize(
    ("model", "day", "grade"),
    [
        ("grok-2", "2025-08-22", "closed-api"),
        ("grok-2", "2025-08-23", "weights-restricted"),
        ("phi-4", "2024-12-31", "weights-noncommercial"),
        ("phi-4", "2025-02-01", "weights-unrestricted"),
        ("kimi-k2.5", "2026-03-01", "weights-restricted"),
        ("qwen3-max", "2025-12-01", "closed-api"),
        ("llama-4-maverick", "2025-05-01", "weights-restricted"),
        ("llama-4-maverick-experimental", "2025-05-01", "closed-hosted"),
        ("llama-2-70b", "2023-08-01", "weights-restricted"),
        ("llama-65b", "2023-03-01", "weights-noncommercial"),
        ("olmo-3", "2026-01-01", "fully-open"),
        ("deepseek-r1", "2025-02-01", "weights-unrestricted"),
        ("gpt-5", "2026-01-01", "closed-api"),
    ],
)
def test_grades_hold_on_the_days_they_held(model: str, day: str, grade: str) -> None:
    on = pd.Timestamp(day)
    held = ACCESS[(ACCESS.model == model) & (ACCESS.valid_from <= on) & ~(ACCESS.valid_to <= on)]
    assert held.grade.tolist() == [grade]


def test_reading_them_is_quick_and_gives_a_frame_of_ones_own() -> None:
    published._read.cache_clear()
    began = time.perf_counter()
    frame = published.scores()
    assert time.perf_counter() - began < 0.15
    frame["score"] = 0.0
    assert (published.scores().score > 0).any()


def test_every_score_is_within_rounding_of_the_file_it_names() -> None:
    hub = real("epoch_hub_2026-04")
    for benchmark, ours in SCORES[~SCORES.benchmark.str.startswith("lmarena")].groupby("benchmark"):
        reading = benchmarks()[str(benchmark)].layouts["hub"]
        theirs = _best_of(hub / f"{reading.file}.csv", reading)
        for version, score in zip(ours.version, ours.score, strict=True):
            assert theirs[version] == pytest.approx(score, abs=0.051 if benchmark == "eci" else 0.00051), version


@pytest.mark.parametrize("board", ["lmarena-text", "lmarena-text-style"])
def test_every_rating_is_within_rounding_of_the_leaderboard(board: str) -> None:
    reading = benchmarks()[board].layouts["lmarena"]
    told = json.loads((real("lmarena") / f"{reading.file}.json").read_text(encoding="utf-8"))[str(reading.task)]
    theirs: dict[str, float] = defaultdict(float)
    for name, row in told.items():
        theirs[match(name).version] = max(theirs[match(name).version], row[reading.score])
    for row in SCORES[SCORES.benchmark == board].itertuples():
        assert theirs[str(row.version)] == pytest.approx(row.score, abs=0.51), row.version


def _best_of(path: Path, reading: Reading) -> Mapping[str, float]:
    best: dict[str, float] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            if (text := row[reading.score]) and (name := row["Model version"]):
                version, value = match(name).version, float(text) / reading.divisor
                best[version] = max(best.get(version, value), value)
    return best


def test_the_docs_count_what_is_there() -> None:
    text = " ".join((Path(__file__).parent.parent / "docs" / "facts.md").read_text(encoding="utf-8").split())
    assert f"{len(SCORES):,} scores of {SCORES.model.nunique()} models" in text
    assert f"on {SCORES.benchmark.nunique()} benchmarks, and {len(ACCESS)} grades of {ACCESS.model.nunique()}" in text
