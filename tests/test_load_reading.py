"""Load runs as they are read: rows, tables, charts and page say what the run folder says, the invalid marked."""

from __future__ import annotations

import json
import os
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench import analysis, database, load_tables, page
from bench.charts import latency_load, tokens_over_time, ttft_cdf, waterfall
from bench.errors import ConfigError
from tests.store import MS, TARGET, header, load_request, load_run, load_step, measurement, sealed

CLOSED, OPEN = "20261110T000000000Z-closed", "20261111T000000000Z-open"
ODD = {**TARGET, "id": "lab:<b>odd</b>"}


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A closed ladder, its second step invalid and without a window; an open step; two other runs; a quality run."""
    results = tmp_path_factory.mktemp("results")
    hundred = [load_request(k, sent_ms=2_000 + 80 * k, ttft_ms=k + 1) for k in range(100)]
    ramp = [load_request(100 + k, sent_ms=80 * k, ttft_ms=5_000) for k in range(25)]
    bad = [
        load_request(200, sent_ms=3_001, status="http_error", http_status=429, first_token_ns=None,
                     first_answer_ns=None, last_token_ns=None, end_ns=3_010 * MS, out_tokens=None, chunks=0,
                     chunk_offsets_ns=()),
        load_request(201, sent_ms=9_900, status="cancelled", out_tokens=None, end_ns=10_000 * MS),
    ]  # fmt: skip
    calibration = [load_request(300, kind="warmup", step=None)]
    second = [load_request(k, step=1, sent_ms=12_000 + k) for k in range(3)]
    over = load_step(
        1, arrivals="closed:16", concurrency=16, start_ns=11_000 * MS, end_ns=21_000 * MS, window_start_ns=None,
        window_end_ns=None, valid=False, over_saturated=True, reasons=["no steady window", "client lag"],
    )  # fmt: skip
    steps = [load_step(notes=["1 request answered 429"], n_failed=1), over]
    load_run(results, CLOSED, steps, [*calibration, *ramp, *hundred, *bad, *second])
    load_run(results, "20261109T000000000Z-older", [load_step()], hundred)
    load_run(results, "20261112T000000000Z-cut", [load_step()], hundred, end="interrupted")
    poisson = load_step(arrivals="poisson:12.5", concurrency=None, asked_rps=12.5, j_per_tok_out=0.5)
    load_run(results, OPEN, [poisson], hundred, target=ODD, fingerprint="g" * 64)
    sealed(results, header("20261101T000000000Z-quality"), [measurement(0)])
    assert database.build(results).problems == []
    return results


# ---------------------------------------------------------------------------------------------------------------- rows


def test_a_step_says_what_its_windows_requests_say(results):
    row = analysis.load_steps(results, [CLOSED])[0]
    assert (row["n"], row["n_window"], row["n_window_failed"], row["n_window_cancelled"]) == (100, 102, 1, 1)
    assert (row["ttft_ms_p50"], row["ttft_ms_p50_low"], row["ttft_ms_p50_high"]) == pytest.approx((50.5, 40, 61))
    assert (row["tpot_ms_p50"], row["e2e_ms_p50"], row["decode_tps_p50"]) == pytest.approx((10, 150.5, 100))
    assert (row["chunk_gap_ms_n"], row["chunk_gap_ms_p99"], row["chunk_gap_max_ms_max"]) == (1_000, 10, 10)
    assert (row["reasons"], row["notes"], row["slo"]) == ([], ["1 request answered 429"], {"ttft_ms": 100})
    assert (row["workers"], row["valid"], row["j_per_tok_out"], row["n_good"]) == (1, True, None, 99)


def test_open_loop_counts_from_when_a_request_was_due(results):
    row = analysis.load_steps(results, [OPEN])[0]
    assert (row["headline"], row["n"]) == ("ttft_sched_ms", 99)  # the first was due 1 ms before the window
    assert row["ttft_sched_ms_p50"] == pytest.approx(52)


def test_rows_have_the_promised_columns_and_survive_json(results):
    rows = json.loads(json.dumps(analysis.load_steps(results), allow_nan=False))
    assert {name for name in rows[0] if not name.startswith("compat.")} == set(analysis.LOAD_COLUMNS)
    assert any(name.startswith("compat.vllm.") for name in rows[0])
    frame = analysis.load(results)
    assert tuple(frame.columns[: len(analysis.LOAD_COLUMNS)]) == analysis.LOAD_COLUMNS
    assert tuple(analysis.load_requests(results).columns) == analysis.LOAD_REQUEST_COLUMNS


def test_the_newest_finished_run_of_each_kind_of_load_stands_for_it(results):
    assert {row["run_id"] for row in analysis.load_steps(results)} == {CLOSED, OPEN}
    assert [row["status"] for row in analysis.load_steps(results, ["20261112T000000000Z-cut"])] == ["interrupted"]
    with pytest.raises(ConfigError, match="no run '2026'"):
        analysis.load_steps(results, ["2026"])


def test_quality_and_load_never_mix(results):
    assert set(analysis.report(results, [CLOSED, OPEN])["target"]) == set()
    assert {run for runs in analysis.report(results)["run_ids"] for run in runs} <= {"20261101T000000000Z-quality"}
    assert analysis.load_steps(results, ["20261101T000000000Z-quality"]) == []


def test_requests_stand_relative_to_their_steps_start_without_calibration(results):
    frame = analysis.load_requests(results, [CLOSED])
    assert len(frame) == 130
    last = frame[frame["step"] == 1].iloc[0]
    assert (last["sched_ms"], last["sent_ms"], last["first_token_ms"], last["end_ms"]) == (999, 1_000, 1_050, 1_150)
    assert frame["in_window"].sum() == 102
    assert frame[frame["status"] == "http_error"]["ttft_ms"].isna().all()


def test_tokens_are_credited_when_they_came_and_those_of_failures_are_wasted(results, tmp_path):
    cut = load_request(1, sent_ms=1_000, status="stream_cut", out_tokens=None)
    halved = load_request(2, sent_ms=2_000, out_tokens=22)
    unseen = load_request(3, sent_ms=3_000, out_tokens=99, reasoning_tokens=88)
    load_run(tmp_path, CLOSED, [load_step()], [load_request(0), cut, halved, unseen])
    database.build(tmp_path)
    frame = analysis.tokens_over_time(tmp_path, CLOSED, 0, 500)
    assert len(frame) == 20
    assert frame["tokens"].tolist()[:7] == pytest.approx([11, 0, 16.5, 0, 22, 0, 16.5])
    assert frame["wasted_per_s"].tolist()[:6] == pytest.approx([0, 0, 33, 0, 0, 0])
    assert frame["tokens_per_s"].tolist()[4] == pytest.approx(44)


def test_an_empty_store_has_no_load(tmp_path):
    database.build(tmp_path)
    assert analysis.load_steps(tmp_path) == []
    assert tuple(analysis.load(tmp_path).columns) == analysis.LOAD_COLUMNS
    assert tuple(analysis.load_requests(tmp_path).columns) == analysis.LOAD_REQUEST_COLUMNS
    assert load_tables.load_tables([], 80) == []
    assert page.load_section(tmp_path) == ""


# -------------------------------------------------------------------------------------------------------------- tables


def shown(results: Path, width: int, run_ids: list[str] | None = None) -> str:
    out = StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False)
    for heading, tables, notes in load_tables.load_tables(analysis.load_steps(results, run_ids), width):
        for part in (heading, *tables, *notes):
            console.print(part)
    return out.getvalue()


def test_a_line_per_step_with_intervals_marks_and_dashes(results):
    columns, cells = load_tables.load_cells(analysis.load_steps(results, [CLOSED]))
    first, second = (dict(zip(columns, line, strict=True)) for line in cells)
    assert (first["load"], second["load"]) == ("closed:8", "closed:16 ✗")
    assert first["TTFT ms from sent\np50 [95%]"] == "50.5 [40.0–61.0]"
    assert first["TTFT ms from sent\np99 [95%]"] == "~99.0 [97.0–?]"
    assert first["% good\n[95%]"] == "99.0 [94.6–99.8]"
    assert (first["n"], first["out\ntok/s"], first["fail-\ned"]) == ("100", "138", "1")
    assert second["TTFT ms from sent\np50 [95%]"] == "–"
    assert not any("J/tok" in name or "asked" in name for name in columns), "what nothing is known of has no column"


def test_open_loop_says_so_and_shows_what_was_asked_and_the_energy(results):
    columns, cells = load_tables.load_cells(analysis.load_steps(results, [OPEN]))
    line = dict(zip(columns, cells[0], strict=True))
    assert line["TTFT ms from due\np50 [95%]"].startswith("52.0 [")
    assert (line["asked\n/s"], line["sent\n/s"], line["J/tok"]) == ("12.5", "10.0", "0.500")


def test_the_heading_says_how_it_was_loaded_and_how_exact_the_clock_was(results):
    heading = load_tables.heading(analysis.load_steps(results, [CLOSED]))
    assert "embedded:nano under load: chat, cold cache" in heading
    assert "lengths fixed, prompts exact; httpx client, 1 client process" in heading
    assert "measured ± 0.250 ms; this client against a null server: TTFT 0.500 ms, end to end 0.125 ms" in heading
    assert "good: ttft_ms ≤ 100" in heading


def test_invalid_steps_and_what_happened_are_told_under_the_table(results):
    notes = load_tables.load_notes(analysis.load_steps(results, [CLOSED]))
    assert notes[0] == "✗ closed:16 is invalid: no steady window; client lag"
    assert notes[1] == "closed:8: 1 request answered 429"
    assert notes[2].startswith("closed:16: over-saturated")
    said = [{**analysis.load_steps(results, [CLOSED])[1], "notes": ["over-saturated: too much"]}]
    assert [note for note in load_tables.load_notes(said) if "saturated" in note] == [
        "closed:16: over-saturated: too much"
    ]
    cut = analysis.load_steps(results, ["20261112T000000000Z-cut"])
    assert "the run was interrupted: steps may be missing" in load_tables.load_notes(cut)


def test_a_search_tells_the_loads_between_which_the_slo_breaks(results):
    row = analysis.load_steps(results, [CLOSED])[0]
    verdicts = [(4, "passes"), (16, "fails"), (8, "passes"), (12, "undecided")]
    found = [{**row, "arrivals": f"closed:{n}", "concurrency": n, "search_verdict": said} for n, said in verdicts]
    line = "the SLO (ttft_ms ≤ 100) holds at closed:8, fails at closed:16; 4 steps"
    assert load_tables.search_result(found) == [line]
    assert load_tables.search_result([row]) == []


@pytest.mark.parametrize("width", [80, 100, 240])
def test_tables_fit_the_terminal_whole(results, width):
    text = shown(results, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert text.count("closed:16 ✗") >= 1
    assert len(re.findall(r"50\.5 \[40\.0–61\.0\]", text)) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [(1234.5, "1,234"), (123.4, "123"), (99.96, "100"), (9.996, "10.0"), (1.25, "1.25"), (0.1234, "0.123"),
     (0.0, "0"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_have_three_digits_that_mean_something(value, told):
    assert load_tables.figure(value) == told


# -------------------------------------------------------------------------------------------------------------- charts


def test_latency_against_load_draws_intervals_and_marks_the_invalid(results):
    figure = latency_load.chart(analysis.load_steps(results, [CLOSED]))
    assert figure.layout.title.text == latency_load.QUESTION
    p50 = next(trace for trace in figure.data if trace.name == "embedded:nano p50")
    assert list(p50.x) == [8, 16]
    assert p50.y[0] == pytest.approx(50.5)
    assert (p50.error_y.arrayminus[0], p50.error_y.array[0]) == pytest.approx((10.5, 10.5))
    assert list(p50.marker.symbol) == ["circle", "circle-open"]
    assert any("SLO 100 ms" in note.text for note in figure.layout.annotations)
    assert "± 0.250 ms" in figure.layout.title.subtitle.text
    assert "2026-11-01" in figure.layout.title.subtitle.text


def test_open_and_closed_loads_meet_on_the_throughput_they_share(results):
    figure = latency_load.chart(analysis.load_steps(results))
    assert figure.layout.xaxis3.title.text == "output tokens/s of the whole system"
    assert {trace.x[0] for trace in figure.data} == {137.5}


def test_the_curve_of_waits_ends_at_all_requests_with_a_band_of_the_right_width(results):
    rows = analysis.load_steps(results, [CLOSED])
    figure = ttft_cdf.chart(rows, analysis.load_requests(results, [CLOSED]))
    upper, lower, curve = figure.data
    assert (len(curve.x), curve.x[0], curve.x[-1], curve.y[-1]) == (100, 1, 100, 1)
    assert upper.y[0] - curve.y[0] == pytest.approx(0.1358, abs=1e-4)  # sqrt(ln 40 / 200)
    assert curve.y[-1] - lower.y[-1] == pytest.approx(0.1358, abs=1e-4)
    assert curve.name == "closed:8, n = 100"


def test_tokens_over_time_shade_the_window(results):
    row, over = analysis.load_steps(results, [CLOSED])
    figure = tokens_over_time.chart(row, analysis.tokens_over_time(results, CLOSED, 0, tokens_over_time.bin_ms(row)))
    assert tokens_over_time.bin_ms(row) == 100
    window = figure.layout.shapes[0]
    assert (window.x0, window.x1) == (2, 10)
    none = tokens_over_time.chart(over, analysis.tokens_over_time(results, CLOSED, 1, 100))
    assert "no steady window" in none.layout.title.subtitle.text
    assert not none.layout.shapes


def test_the_waterfall_shows_where_time_went_and_how_requests_ended(results):
    row, over = analysis.load_steps(results, [CLOSED])
    requests = analysis.load_requests(results, [CLOSED])
    figure = waterfall.chart(row, requests)
    parts = {trace.name: trace for trace in figure.data}
    assert "63 of 127 requests, from the start of its steady window" in figure.layout.title.subtitle.text
    assert (parts["waiting in our client"].x[0], parts["decoding"].x[0]) == pytest.approx((0.001, 0.1))
    assert list(parts["failed"].text) == ["http_error"]
    assert "invalid: no steady window; client lag; all 3" in waterfall.chart(over, requests).layout.title.subtitle.text


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_page_has_the_tables_and_the_four_charts_and_escapes_names(results):
    section = page.load_section(results)
    text = re.sub(r"<script.*?</script>", "", section, flags=re.DOTALL)
    assert "Under load: chat, cold cache, a fixed number of requests under way" in text
    assert "closed:16 ✗" in text
    assert "lab:&lt;b&gt;odd&lt;/b&gt;" in text
    assert "<b>odd" not in text
    for module in (latency_load, ttft_cdf, tokens_over_time, waterfall):
        assert section.count(f'"text":"{module.QUESTION}') == 2, module


def test_a_page_of_load_alone_carries_its_script(results, tmp_path):
    page.write(results, tmp_path / "page.html", [CLOSED])
    text = (tmp_path / "page.html").read_text()
    assert "No run has been measured" not in text
    assert "plotly" in text
