"""The index as the analysis tells it: whole, of a capability, and with what was measured here placed on it."""

import datetime as dt
from pathlib import Path

import pytest

from bench import analysis, database
from bench.analysis.gap import Asked
from bench.errors import ConfigError
from tests.judged_runs import judged

AS_OF = dt.date(2026, 4, 16)


def test_a_target_measured_here_stands_where_its_scores_put_it(tmp_path: Path) -> None:
    published = analysis.index_gap(tmp_path, Asked(as_of=AS_OF), refits=0)
    index = published.index
    assert index is not None
    wanted = ("gpqa-diamond", "math-level-5", "otis-mock-aime", "gsm8k")
    for n, (target, model) in enumerate((("openai:gpt-4o", "gpt-4o"), ("deepseek:deepseek-r1", "deepseek-r1"))):
        rows = index.fit.rows[index.fit.rows["model"].str.startswith(model)]
        share = dict(zip(rows["benchmark"], rows["value"], strict=True))
        values = {task: [[float(k < round(200 * share[task]))] for k in range(200)] for task in wanted if task in share}
        judged(tmp_path, f"20261101T12000{n}000Z-quick-x-aaa{'ab'[n]}", target, values, suite="mine")
    database.build(tmp_path)
    own = analysis.index_gap(tmp_path, Asked(as_of=AS_OF, provenance="own"), refits=1)
    found = dict(zip(own.rows["model"], own.rows["value"], strict=True))
    told = published.rows.groupby("model")["value"].max()
    for model, value in found.items():
        assert value == pytest.approx(told[model], abs=8)  # of three or four benchmarks, not of all
    assert own.gap.provenance == "own"
    assert set(own.rows["cls"]) == {"open", "closed"}


def test_nothing_measured_here_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing measured here stands on the index"):
        analysis.index_gap(tmp_path, Asked(as_of=AS_OF, provenance="own"), refits=0)


def test_a_capability_without_enough_benchmarks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no preference index: 0 benchmarks"):
        analysis.index_gap(tmp_path, Asked(as_of=AS_OF), capability="preference", refits=0)
    with pytest.raises(ConfigError, match="no capability is called 'cooding'; did you mean 'coding'"):
        analysis.index_gap(tmp_path, Asked(as_of=AS_OF), capability="cooding", refits=0)


def test_lines_of_a_capability_leave_out_its_own_benchmarks(tmp_path: Path) -> None:
    view = analysis.index_gap(tmp_path, Asked(as_of=AS_OF), capability="maths", refits=0)
    lines = analysis.gap_sensitivity(tmp_path, view)
    left_out = set(lines[lines["line"] == "leave one benchmark out"]["what"])
    assert view.index is not None
    assert left_out <= set(view.index.benchmarks) < set(view.index.fit.benchmarks["benchmark"])
    assert view.gap.name == f"the maths index over {len(view.index.benchmarks)} benchmarks"
