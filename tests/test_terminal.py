import re
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from bench import page, terminal
from bench.charts import by_task
from bench.errors import EngineError
from bench.quality import Outcome


def report(**changes: object) -> pd.DataFrame:
    """Two targets on two tasks, the better one second."""
    rows = []
    for target, shift in (("worse", 0.0), ("<b>better</b>", 0.2)):
        for task, value in (("quick_copy", 0.5), ("quick_add", 0.3), ("macro", 0.4)):
            rows.append(
                {
                    "target": target, "layer": "reference", "suite": "quick", "suite_version": "1", "task": task,
                    "metric": "acc", "value": value + shift,
                    "ci_low": value + shift - 0.1, "ci_high": value + shift + 0.1,
                    "n": 60 if task == "macro" else 30, "n_unscored": 1, "decode_tps_p50": 1234.5, "ttft_ms_p50": 5.25,
                    "ttft_ms_p95": 50.0, "e2e_ms_p50": 20.0, "usd_per_mtok_in": None, "usd_per_mtok_out": None,
                    "usd_total": None, "run_ids": [f"20261123T000000000Z-{target[:1]}"], **changes,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_the_best_target_comes_first_and_unknown_is_a_dash() -> None:
    columns, rows = terminal.overview_cells(report())
    cells = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [c["target"] for c in cells] == ["<b>better</b>", "worse"]
    assert cells[0]["macro [95%]"] == "0.600 [0.500, 0.700]"
    assert (cells[0]["n"], cells[0]["un-\nscored"], cells[0]["tok/s\np50"]) == ("60", "2", "1,234")
    assert not any("$" in name for name in columns), "money stands there only where some is known"


def test_zero_is_zero_and_not_unknown() -> None:
    columns, rows = terminal.overview_cells(report(usd_per_mtok_in=0.0, value=0.0, ci_low=0.0, ci_high=0.1))
    cells = dict(zip(columns, rows[0], strict=True))
    assert cells["$/M\nin"] == "0.00"
    assert cells["macro [95%]"] == "0.000 [0.000, 0.100]"


def test_a_task_that_has_no_score_is_a_dash() -> None:
    _, rows = terminal.task_cells(report(value=None))
    assert rows[0][1:] == ["–", "–"]


@pytest.mark.parametrize("width", [60, 80, 240])
def test_tables_fit_the_terminal_and_nothing_in_them_is_broken_or_lost(width: int) -> None:
    out = StringIO()
    many = pd.concat([report(), *(report(task=f"quick_task{i}") for i in range(8))], ignore_index=True)
    tables = terminal.report_tables(many, width)
    for table in tables[1:]:
        Console(file=out, width=width).print(table)
    text = out.getvalue()
    assert "…" not in text
    assert all(f"task{i}" in text for i in range(8))
    assert text.count("worse") == len(tables) - 1
    assert (len(tables) == 2) is (width == 240)


def test_the_overview_of_the_embedded_family_fits_eighty_columns() -> None:
    out = StringIO()
    wide = report(target="embedded:large-early")
    Console(file=out, width=80).print(terminal.report_tables(wide, 80)[0])
    assert "embedded:large-early" in out.getvalue()
    assert "…" not in out.getvalue()


def test_names_from_outside_are_escaped_in_the_page() -> None:
    unscored = pd.DataFrame(columns=["run_id", "target", "task", "state", "n"])
    text = page.render(report(), unscored)
    shown = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<b>better</b>" not in shown
    assert "&lt;b&gt;better&lt;/b&gt;" in shown


def test_two_revisions_of_a_target_are_two_rows_and_never_averaged() -> None:
    twice = pd.concat([report(), report(value=0.9, run_ids=["20261124T000000000Z-z"])], ignore_index=True)
    figure = by_task.chart(twice[twice["target"] == "worse"])
    assert len(figure.data[0].y) == 2
    assert {value for row in figure.data[0].z for value in row} == {0.5, 0.3, 0.9}


def test_an_empty_store_makes_a_page_that_says_so() -> None:
    assert "bench run" in page.render(report().iloc[:0], pd.DataFrame())


def test_control_characters_are_spelt_out() -> None:
    out = StringIO()
    Console(file=out, width=80).print(terminal.plain_table(["x"], [["\x1b[2Jgone\r\nü"]]))
    assert "\\x1b[2Jgone\\r\\nü" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_provisional_suite_says_so() -> None:
    assert "provisional" in terminal.heading("core", "0")
    assert terminal.heading("quick", "1") == "quick@1"


def test_one_line_says_what_became_of_a_run() -> None:
    done = Outcome(run_id="r", target_id="t", n_items=240, n_answered=240, n_attempts=240, elapsed_s=12.34)
    partly = Outcome(run_id="r", target_id="t", n_items=240, n_answered=239, n_attempts=240, elapsed_s=1)
    again = Outcome(run_id="r", target_id="t", n_items=240, n_answered=240, n_replayed=240)
    stopped = Outcome(run_id="r", target_id="t", stop=EngineError("it died"))
    assert terminal.ending(done) == "t: all 240 answers in 12.3 s"
    assert terminal.ending(partly) == "t: 239 answers to 240 questions in 1.0 s"
    assert terminal.ending(again) == "t: all 240 answers in r from before; nothing was asked again"
    assert terminal.ending(stopped) == "t: stopped: it died"


def test_a_model_that_was_swapped_on_the_way_is_told() -> None:
    outcome = Outcome(run_id="r", target_id="t", models={"m-1": 3, "m-2": 21, "": 1}, hosts={"here": 25})
    assert terminal.remarks(outcome) == ["t: the answers came from 3 models: m-2 (21), m-1 (3), unnamed (1)"]
    assert terminal.remarks(Outcome(run_id="r", target_id="t", models={"": 25})) == []
