"""`bench gap` as people and scripts use it: a paragraph first, one JSON value, one line for what is wrong, a chart."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas
import pytest
from typer.testing import CliRunner, Result

from bench.analysis.gap import TABLE_COLUMNS, gap_table
from bench.cli import app
from bench.errors import ConfigError
from tests.quality_runs import bench

ISSUE: dict[str, set[str] | None] = {
    "benchmark": None,
    "as_of": None,
    "unit": None,
    "closed": {"model", "score", "released"},
    "open": {"model", "score", "released"},
    "gap": {"points", "low", "high"},
    "lag_now": {"state", "months", "low", "high", "matches_closed_of"},
    "time_to_match": {"median_months", "low", "high", "records", "unmatched"},
    "mean_horizontal_months": None,
    "variants": {"open", "closed"},
    "stale_days": None,
    "forecast": {"state", "p12", "p24", "p36", "reason"},
    "provenance": None,
    "method": None,
}
"""The keys that were promised; there are more."""


def asked(folder: Path, *arguments: str) -> Result:
    """Without a process of its own; errors of ours are in `exception`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("BENCH_RESULTS", "BENCH_OVERRIDES"):
            patch.delenv(name, raising=False)
        return CliRunner().invoke(app, ["gap", *arguments])


def wrong(folder: Path, *arguments: str) -> str:
    """The one line that is said."""
    done = asked(folder, *arguments)
    assert isinstance(done.exception, ConfigError), done.output
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    return str(done.exception)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def plain(empty: Path) -> str:
    done = asked(empty)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_fresh_machine_gets_an_answer_and_no_file(plain: str, empty: Path) -> None:
    assert plain.startswith("On Epoch Capabilities Index, as of ")
    assert list(empty.iterdir()) == []


def test_a_paragraph_then_a_table_then_choices_then_what_must_be_known(plain: str) -> None:
    words = " ".join(plain.split())
    parts = ("On Epoch Capabilities Index", "best closed", "time to match, median", "How the answer moves")
    places = [words.index(part) for part in (*parts, "as measured", "leave one lab out", "month = 30.4375 days")]
    assert places == sorted(places)


def test_sensitivity_can_be_left_out(empty: Path, plain: str) -> None:
    short = asked(empty, "--no-sensitivity").stdout
    assert "leave one lab out" not in short
    assert short.splitlines()[0] == plain.splitlines()[0]


@pytest.fixture(scope="module")
def told(empty: Path) -> dict[str, Any]:
    done = asked(empty, "--json", "--as-of", "2026-02-12")
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def test_json_has_every_key_that_was_promised(told: dict[str, Any]) -> None:
    assert set(ISSUE) <= set(told)
    for key, inner in ISSUE.items():
        if inner is not None:
            assert inner <= set(told[key]), key


def test_json_is_of_the_day_asked_for_and_carries_what_it_was_asked(told: dict[str, Any]) -> None:
    assert (told["benchmark"], told["as_of"], told["provenance"]) == ("eci", "2026-02-12", "published")
    assert told["open_at_least"] == "weights-noncommercial"
    assert told["gap"]["low"] < told["gap"]["points"] < told["gap"]["high"]
    assert told["variants"]["open"] > 50
    assert told["gap"]["points"] == pytest.approx(told["closed"]["score"] - told["open"]["score"])


def test_json_is_the_same_on_another_run(empty: Path, told: dict[str, Any]) -> None:
    again = bench("gap", "--json", "--as-of", "2026-02-12", cwd=empty)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == told
    assert again.stderr == ""


def test_json_of_a_day_before_all_is_still_json(empty: Path) -> None:
    value = json.loads(asked(empty, "--json", "--as-of", "1999-12-31").stdout)
    assert (value["closed"], value["lag_now"]["state"], value["gap"]["points"]) == (None, "undefined", None)


@pytest.mark.parametrize(
    "day",
    [
        "1999-12-31",
        "2023-03-14",
        "9999-12-31",
    ],
)
def test_odd_days_end_in_words_that_name_the_day(empty: Path, day: str) -> None:
    done = asked(empty, "--as-of", day, "--no-sensitivity")
    assert done.exit_code == 0, done.exception
    assert day in done.stdout


@pytest.fixture
def _table_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of one table are worked out once."""
    monkeypatch.setattr("bench.analysis.gap_table", lambda *_: _table())


@cache
def _table() -> pandas.DataFrame:
    return gap_table(Path("nowhere"))


@pytest.mark.usefixtures("_table_at_once")
def test_all_is_a_row_per_benchmark(empty: Path) -> None:
    rows = json.loads(asked(empty, "--all", "--json").stdout)
    assert len(rows) >= 10
    assert all(tuple(row) == TABLE_COLUMNS for row in rows)
    assert len({row["benchmark"] for row in rows}) == len(rows)
    text = asked(empty, "--all").stdout
    assert all(row["benchmark"] in text for row in rows)
    assert "Kaplan–Meier" in text


# -------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as-of", "16.04.2026"), "--as-of '16.04.2026' is no date; write it like 2026-04-16"),
        (("--as-of", "2026-02-30"), "--as-of '2026-02-30' is no date"),
        (("--draw", "gab"), "--draw 'gab' is none of gap, lag, index"),
        (("--benchmark", "gpqa-dimond"), "did you mean 'gpqa-diamond'?"),
        (("--provenance", "mine"), "provenance 'mine' is none of published, own, combined"),
        (("--open-at-least", "weights-restrictd"), "did you mean 'weights-restricted'?"),
        (("--rule", "bst"), "rule 'bst' isn't known; did you mean 'best'?"),
        (("--effort", "hihg"), "effort rule 'hihg' isn't known"),
        (("--index", "--benchmark", "mmlu"), "--index is over many benchmarks, --benchmark mmlu is one"),
        (("--index", "--capability", "codin", "--refits", "0"), "did you mean 'coding'?"),
        (("--chart", "gap.pdf"), "gap.pdf"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_way_out(empty: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in wrong(empty, *arguments)


def test_the_line_goes_to_stderr_and_the_command_ends_with_2(empty: Path) -> None:
    done = bench("gap", "--benchmark", "gpqa-dimond", "--json", cwd=empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: benchmark 'gpqa-dimond' is unknown; did you mean 'gpqa-diamond'?\n"


@pytest.mark.parametrize("arguments", [("--seed", "-1"), ("--tolerance", "inf")])
def test_numbers_that_cannot_be_meant_are_refused(empty: Path, arguments: tuple[str, ...]) -> None:
    done = asked(empty, *arguments)
    assert done.exit_code == 2 or isinstance(done.exception, ConfigError), done.exception


@pytest.mark.usefixtures("_table_at_once")
@pytest.mark.parametrize("more", [("--benchmark", "mmlu"), ("--chart", "all.html"), ("--index",)])
def test_all_does_not_silently_drop_another_wish(empty: Path, more: tuple[str, ...]) -> None:
    assert "--all" in wrong(empty, "--all", *more)


# -------------------------------------------------------------------------------------------------------------- a chart


@pytest.mark.parametrize("what", ["gap", "lag", "index"])
def test_a_chart_is_a_file_beside_the_answer(tmp_path: Path, what: str) -> None:
    done = asked(tmp_path, "--chart", "out.html", "--draw", what, "--no-sensitivity", "--as-of", "2025-06-01")
    assert done.exit_code == 0, done.exception
    assert "wrote out.html" in done.stderr
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "2025-06-01" in page
    assert "Epoch AI (CC-BY 4.0)" in page
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_a_chart_goes_with_json_too(tmp_path: Path) -> None:
    done = asked(tmp_path, "--chart", "out.html", "--json", "--benchmark", "mmlu")
    assert json.loads(done.stdout)["benchmark"] == "mmlu"
    assert (tmp_path / "out.html").stat().st_size > 10_000


def test_a_chart_of_one_class_alone_is_drawn_without_an_error(tmp_path: Path) -> None:
    done = asked(tmp_path, "--chart", "out.html", "--open-at-least", "fully-open", "--benchmark", "mmlu")
    assert done.exit_code == 0, done.exception
    assert "wrote out.html" in done.stderr


def test_a_chart_where_no_file_can_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = asked(tmp_path, "--chart", "file/out.html", "--no-sensitivity")
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    assert not isinstance(done.exception, OSError)
