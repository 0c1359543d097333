"""Imported files: what is kept, under which stamps; twice is once; and what is said of a file that is something else.

The files in tests/imports are made up by hand in the tools' layouts.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import compat, database, imports, runs
from bench.errors import ConfigError
from bench.records import Measurement
from bench.runs.folder import measurements

FILES = Path(__file__).parent / "imports"
SAMPLES = {
    "guidellm": FILES / "guidellm.json",
    "aiperf": FILES / "aiperf" / "profile_export.jsonl",
    "vllm_bench": FILES / "vllm_chat.json",
}
MS = 1_000_000


def load(summary: imports.Summary) -> tuple[list[Measurement], list[dict[str, Any]]]:
    path = Path(summary.path)
    return list(measurements(runs.read(path).requests)), json.loads((path / "load_steps.json").read_text())


def figures(summary: imports.Summary, step: int = 0) -> dict[str, float | None]:
    rows, steps = load(summary)
    mine = [m for m in rows if m.step == step]
    columns: dict[str, Any] = {
        name: np.array([getattr(m, name) for m in mine], dtype=object if name == "status" else float)
        for name in compat.COLUMNS
    }
    columns["chunk_gaps_ms"] = [np.diff(m.chunk_offsets_ns) / 1e6 for m in mine]
    return compat.figures(columns, start_ns=steps[step]["start_ns"], end_ns=steps[step]["end_ns"])


def raw(summary: imports.Summary) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(summary.path) / "imported.json").read_text())
    return found


def stamps(m: Measurement) -> tuple[float | None, ...]:
    """Sent, first event, first token, last token, end [ms]."""
    of = (m.sent_ns, m.first_event_ns, m.first_token_ns, m.last_token_ns, m.end_ns)
    return tuple(None if stamp is None else round(stamp / MS, 2) for stamp in of)


# ---------------------------------------------------------------------------------------------------- all the formats


def test_every_format_of_measured_requests_has_a_sample_and_every_format_says_what_it_takes() -> None:
    assert [name for name in imports.names() if hasattr(imports.of(name), "read")] == sorted(SAMPLES)
    assert all(len(imports.of(name).FORMAT.splitlines()) > 2 for name in imports.names())


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_same_file_twice_is_one_run_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    first = imports.import_file(name, SAMPLES[name], tmp_path / "results")
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    copy = tmp_path / "another name.json"
    shutil.copyfile(SAMPLES[name], copy)
    for path in (SAMPLES[name], copy):
        again = imports.import_file(name, path, tmp_path / "results")
        assert (again.run_id, again.added) == (first.run_id, False)
    copy.unlink()
    assert first.added
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_imported_run_says_whose_it_is_and_nothing_of_this_machine(name: str, tmp_path: Path) -> None:
    summary = imports.import_file(name, SAMPLES[name], tmp_path)
    header = runs.read_header(Path(summary.path))
    assert (header.kind, header.status, header.suite, header.items) == (
        "load",
        "finished",
        f"imported-{name}",
        "imported",
    )
    assert (header.machine, header.git_sha) == ({}, None)
    assert header.target["id"] == f"imported:{name}:acme/small-1b"
    assert header.target["layer"] is None
    assert header.started_at.startswith("2026-09-21T14:13:")
    assert header.run_id.startswith("20260921T1413")
    provenance = header.target["imported"]
    assert provenance["sha256"] == header.suite_hash == header.fingerprint
    assert provenance["files"][0] == SAMPLES[name].name
    everything = b"".join(p.read_bytes() for p in Path(summary.path).iterdir() if p.is_file())
    assert str(FILES).encode() not in everything
    assert b"private" not in everything


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_import_that_was_broken_off_is_completed(name: str, tmp_path: Path) -> None:
    whole = imports.import_file(name, SAMPLES[name], tmp_path / "whole")
    halfway = imports.import_file(name, SAMPLES[name], tmp_path / "halfway")
    path = Path(halfway.path)
    rows = list(measurements(runs.read(path).requests))
    (path / "requests.parquet").unlink()
    (path / "load_steps.json").unlink()
    header = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**header, "status": "running", "finished_at": None}))
    with runs.reopen(path) as run:
        run.append(rows[0])
    again = imports.import_file(name, SAMPLES[name], tmp_path / "halfway")
    assert (again.run_id, again.added) == (halfway.run_id, True)
    assert load(again) == load(whole)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_store_takes_imported_runs(name: str, tmp_path: Path) -> None:
    summary = imports.import_file(name, SAMPLES[name], tmp_path)
    built = database.build(tmp_path)
    assert (built.runs, built.requests, built.problems) == (1, summary.n_kept, [])


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_imported_step_is_never_valid_and_has_no_window(name: str, tmp_path: Path) -> None:
    _, steps = load(imports.import_file(name, SAMPLES[name], tmp_path))
    for step in steps:
        assert step["valid"] is False
        assert "no steady window" in step["reasons"][0]
        assert "window_start_ns" not in step


# ------------------------------------------------------------------------------------------------------------ bad files


def refused(name: str, path: Path, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as told:
        imports.import_file(name, path, tmp_path / "results")
    line = str(told.value)
    assert "\n" not in line
    assert path.name in line
    assert not list((tmp_path / "results").rglob("run.json"))
    return line


@pytest.mark.parametrize("wanted", sorted(SAMPLES))
@pytest.mark.parametrize("given", sorted(SAMPLES))
def test_another_tool_s_file_is_recognised(wanted: str, given: str, tmp_path: Path) -> None:
    if wanted == given:
        return
    line = refused(wanted, SAMPLES[given], tmp_path)
    assert f"looks like {given}, not {wanted}; use `bench import {given}`" in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (gzip.compress(b"{}"), "is packed (gzip); unpack it first"),
        (b"PK\x03\x04rest", "is packed (zip)"),
        (b"PAR1rest", "is a Parquet file"),
        (b"<!doctype html><p>", "is HTML or XML, no JSON"),
        (b"\xff\xfe\x00\x01", "is not text"),
        (b"strategy,rate\nconcurrent,2\n", "is no JSON (it begins with 'strategy,rate\\nconcur')"),
        (b"[1, 2]", "holds a JSON list where a result file holds an object"),
        (b"3", "holds a number where"),
        (b'{"metadata": {"version": 2}, "benchm', "is cut off after 36 characters"),
        (b'{"a": 1,\n "b": ]' + b" 1, 2, 3, 4, 5, 6, 7, 8, 9" + b"}", "is damaged JSON (line 2, column 7)"),
        (b"{}", "is no guidellm file (it begins with the keys of an empty object); formats: aiperf, csv, epoch, guid"),
        (b'{"a": 1}\nnonsense\n{"a": 1}\n', "line 2: not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"a": 1}\n' + b"[" * 100_000 + b'\n{"a": 1}\n', "line 2: not JSON"),
    ],
)
def test_what_is_no_result_file_is_told_in_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    assert says in refused("guidellm", path, tmp_path)


def test_what_is_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    assert "no file" in refused("guidellm", tmp_path / "nowhere.json", tmp_path)
    told = refused("aiperf", FILES / "aiperf", tmp_path)
    assert "is a folder; name the result file in it: profile_export.jsonl, profile_export_aiperf.json" in told
    with pytest.raises(ConfigError, match="import format 'guidelm' does not exist; did you mean 'guidellm'"):
        imports.import_file("guidelm", SAMPLES["guidellm"], tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"metadata": {"version": 1}}, "report version 1; this reads version 2"), ({"benchmarks": []}, "nothing ran")],
)
def test_a_guidellm_report_of_another_version_or_of_nothing_is_refused(
    change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "benchmarks.json"
    path.write_text(json.dumps({**json.loads(SAMPLES["guidellm"].read_text()), **change}))
    assert says in refused("guidellm", path, tmp_path)


def test_lists_of_different_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vllm.json"
    path.write_text(json.dumps({**json.loads(SAMPLES["vllm_bench"].read_text()), "ttfts": [0.1]}))
    assert "3 input_lens, 3 output_lens, 1 ttfts" in refused("vllm_bench", path, tmp_path)


def nonsense(value: Any, depth: int = 0) -> Any:
    """The same keys with values of other kinds."""
    if isinstance(value, dict):
        return {key: nonsense(of, depth + 1) for key, of in value.items()}
    if isinstance(value, list):
        return [nonsense(of, depth + 1) for of in value]
    return {str: 7, int: "seven", float: "NaN", bool: [], type(None): {}}.get(type(value))


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_values_of_the_wrong_kind_are_unknown_not_a_crash(name: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    odd = [nonsense(json.loads(line)) for line in SAMPLES[name].read_text().splitlines()] if name == "aiperf" else [
        nonsense(json.loads(SAMPLES[name].read_text()))
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(line) for line in odd))
    try:
        summary = imports.import_file(name, path, tmp_path / "results")
    except ConfigError as told:
        assert "\n" not in str(told)  # noqa: PT017 - either is fine
        return
    rows, _ = load(summary)
    assert {m.first_token_ns for m in rows} <= {None}
    assert {m.out_tokens for m in rows} <= {None}


# ------------------------------------------------------------------------------------------------------------- guidellm


def test_guidellm_stamps_begin_with_the_file_and_each_benchmark_is_a_step(tmp_path: Path) -> None:
    summary = imports.import_file("guidellm", SAMPLES["guidellm"], tmp_path)
    rows, steps = load(summary)
    assert summary.rows() == [("requests read", 5), ("requests kept", 5), ("steps", 2)]
    assert [(m.step, m.status, stamps(m)) for m in rows] == [
        (0, "ok", (0, 100, 100, 200, 250)),
        (0, "ok", (500, 700, 700, 1200, 1250)),
        (0, "http_error", (1500, None, None, None, 1600)),
        (1, "ok", (10050, 10150, 10150, 10350, 10350)),
        (1, "cancelled", (10250, 10500, 10500, 10900, 11010)),
    ]
    assert [m.sched_ns for m in rows] == [None, None, None, 10_000 * MS, 10_250 * MS]  # closed loop has no schedule
    assert round((rows[1].first_answer_ns or 0) / MS) == 750
    assert [(m.in_tokens, m.out_tokens, m.chunks, m.tokens_source) for m in rows[:2]] == [
        (12, 5, 5, "server"),
        (14, 11, 11, "server"),
    ]
    assert (rows[2].http_status, rows[2].out_tokens, rows[2].in_tokens) == (503, None, None)
    assert "abcdefgh12345678" not in (rows[2].error or "")
    assert (steps[0]["arrivals"], steps[0]["concurrency"]) == ("closed:2", 2)
    assert (steps[1]["arrivals"], steps[1]["asked_rps"], steps[1]["duration_s"]) == ("constant:4", 4.0, 1)
    assert [(s["start_ns"], s["end_ns"], s["n_sent"], s["n_failed"]) for s in steps] == [
        (0, 2_000 * MS, 3, 1),
        (10_000 * MS, 11_000 * MS, 2, 0),
    ]
    assert steps[0]["notes"] == ["mean generation delay was 3% of mean TTFT."]
    assert runs.read_header(Path(summary.path)).seed == 42


def test_guidellm_s_printed_figures_follow_from_the_rows(tmp_path: Path) -> None:
    summary = imports.import_file("guidellm", SAMPLES["guidellm"], tmp_path)
    found, printed = figures(summary), raw(summary)["steps"][0]["metrics"]
    for ours, theirs in (
        ("ttft_ms", "time_to_first_token_ms"),
        ("itl_ms", "inter_token_latency_ms"),
        ("tpot_ms", "time_per_output_token_ms"),
    ):
        for statistic in ("mean", "median"):
            said = printed[theirs]["successful"][statistic]
            assert found[f"compat.guidellm.{statistic}_{ours}"] == pytest.approx(said, abs=1e-3), (ours, statistic)
    assert found["compat.guidellm.output_tps"] == printed["output_tokens_per_second"]["total"]["mean"]
    assert found["compat.guidellm.requests_rps"] == printed["requests_per_second"]["total"]["mean"]


def test_a_guidellm_file_that_keeps_a_sample_of_its_requests_says_so(tmp_path: Path) -> None:
    report = json.loads(SAMPLES["guidellm"].read_text())
    report["benchmarks"][0]["requests"]["successful"].pop()
    path = tmp_path / "benchmarks.json"
    path.write_text(json.dumps(report))
    summary = imports.import_file("guidellm", path, tmp_path / "results")
    assert summary.notes == ("step 0: the file holds 2 of the 3 requests its figures are of",)


# --------------------------------------------------------------------------------------------------------------- aiperf


def test_aiperf_s_records_and_summary_are_one_run_whichever_is_named(tmp_path: Path) -> None:
    one = imports.import_file("aiperf", SAMPLES["aiperf"], tmp_path)
    other = imports.import_file("aiperf", FILES / "aiperf" / "profile_export_aiperf.json", tmp_path)
    assert (other.run_id, other.added) == (one.run_id, False)
    rows, steps = load(one)
    assert one.rows() == [("requests read", 6), ("requests kept", 6), ("steps", 1)]
    assert [(m.kind, m.step, m.status, stamps(m)) for m in rows] == [
        ("warmup", None, "ok", (0, None, 50, 70, 70)),
        ("load", 0, "ok", (500, None, 600, 680, 680)),
        ("load", 0, "ok", (700, None, 900, 1300, 1300)),
        ("load", 0, "stream_cut", (1200, None, None, None, 1220)),
        ("load", 0, "http_error", (1250, None, None, None, 1260)),
        ("load", 0, "cancelled", (1300, None, None, None, 1400)),
    ]
    assert {m.sched_ns for m in rows} == {None}
    assert rows[1].chunk_offsets_ns == tuple(n * MS for n in (100, 120, 140, 160, 180))
    assert [(m.in_tokens, m.in_cached_tokens, m.out_tokens, m.tokens_source) for m in rows[1:4]] == [
        (9, 4, 5, "server"),
        (6, None, 11, "client"),
        (None, None, None, None),
    ]
    assert rows[4].http_status == 429
    assert (steps[0]["arrivals"], steps[0]["asked_rps"]) == ("poisson:5", 5.0)
    assert (steps[0]["n_sent"], steps[0]["n_failed"]) == (5, 2)
    assert (steps[0]["start_ns"], steps[0]["end_ns"]) == (
        400 * MS,
        1_400 * MS,
    )  # the phase: a second until the last end
    assert (one.version, runs.read_header(Path(one.path)).seed) == ("0.13.0", 7)


def test_aiperf_s_printed_figures_follow_from_the_rows(tmp_path: Path) -> None:
    summary = imports.import_file("aiperf", SAMPLES["aiperf"], tmp_path)
    found, printed = figures(summary), raw(summary)["steps"][0]
    for ours, theirs, statistic in (
        ("avg_ttft_ms", "time_to_first_token", "avg"),
        ("p99_ttft_ms", "time_to_first_token", "p99"),
        ("avg_itl_ms", "inter_token_latency", "avg"),
        ("p99_itl_ms", "inter_token_latency", "p99"),
        ("avg_icl_ms", "inter_chunk_latency", "avg"),
        ("avg_output_tps_per_user", "output_token_throughput_per_user", "avg"),
        ("output_throughput_tps", "output_token_throughput", "avg"),
        ("request_throughput_rps", "request_throughput", "avg"),
    ):
        assert found[f"compat.aiperf.{ours}"] == pytest.approx(printed[theirs][statistic]), ours
    assert "input_config" not in printed


def test_aiperf_s_records_alone_have_no_model_and_last_from_first_sending_to_last_end(tmp_path: Path) -> None:
    path = tmp_path / "profile_export.jsonl"
    path.write_text(SAMPLES["aiperf"].read_text() + '{"metadata": {"request_start')
    summary = imports.import_file("aiperf", path, tmp_path / "results")
    _, steps = load(summary)
    assert (summary.model, summary.target_id) == (None, "imported:aiperf:unknown")
    assert (steps[0]["arrivals"], steps[0]["start_ns"], steps[0]["end_ns"]) == ("unknown", 500 * MS, 1_400 * MS)
    assert summary.skipped == {"a last line that was cut off": 1}


def test_aiperf_s_summary_alone_has_no_requests_and_says_how_many_it_speaks_of(tmp_path: Path) -> None:
    path = tmp_path / "profile_export_aiperf.json"
    shutil.copyfile(FILES / "aiperf" / path.name, path)
    summary = imports.import_file("aiperf", path, tmp_path / "results")
    assert (summary.n_kept, summary.n_read, list(summary.skipped.values())) == (0, 5, [5])
    assert raw(summary)["steps"][0]["time_to_first_token"]["p99"] == 199.0
    assert load(summary)[1][0]["end_ns"] - load(summary)[1][0]["start_ns"] == 1_000 * MS


def test_a_file_of_another_run_beside_it_is_not_taken(tmp_path: Path) -> None:
    lines = SAMPLES["aiperf"].read_text().splitlines()[:3]
    (tmp_path / "profile_export.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copyfile(FILES / "aiperf" / "profile_export_aiperf.json", tmp_path / "profile_export_aiperf.json")
    summary = imports.import_file("aiperf", tmp_path / "profile_export.jsonl", tmp_path / "results")
    assert summary.model is None
    assert "is of another run (5 requests in the summary, 2 records)" in summary.notes[0]


# ----------------------------------------------------------------------------------------------------------------- vLLM


def test_vllm_s_ttft_on_a_chat_endpoint_is_the_first_event_not_the_first_token(tmp_path: Path) -> None:
    summary = imports.import_file("vllm_bench", SAMPLES["vllm_bench"], tmp_path)
    rows, steps = load(summary)
    assert [(m.status, stamps(m), m.in_tokens, m.out_tokens) for m in rows] == [
        ("ok", (0, 10, None, None, 190), 12, 5),
        ("ok", (500, 800, None, None, 1000), 14, 11),
        ("http_error", (1000, None, None, None, None), 9, None),
    ]
    assert rows[2].error == "Internal Server Error"
    assert (steps[0]["arrivals"], steps[0]["asked_rps"]) == ("gamma:2,0.5", 2.0)
    assert (steps[0]["start_ns"], steps[0]["end_ns"], steps[0]["n_failed"]) == (0, 2_000 * MS, 1)
    found, printed = figures(summary), raw(summary)["steps"][0]
    for name in ("mean_ttft_ms", "median_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "median_tpot_ms", "p99_tpot_ms"):
        assert found[f"compat.vllm.{name}"] == pytest.approx(printed[name]), name
    assert found["compat.vllm.output_throughput_tps"] == printed["output_throughput"]
    assert found["compat.vllm.total_token_throughput_tps"] == printed["total_token_throughput"]
    assert found["compat.vllm.request_throughput_rps"] == printed["request_throughput"]


def test_vllm_on_a_completions_endpoint_gives_token_stamps(tmp_path: Path) -> None:
    result = json.loads((FILES / "vllm_old.json").read_text()) | {"start_times": [9.0, 9.5]}
    path = tmp_path / "vllm.json"
    path.write_text(json.dumps(result))
    rows, _ = load(imports.import_file("vllm_bench", path, tmp_path / "results"))
    assert [stamps(m) for m in rows] == [(0, 100, 100, 200, 200), (500, 700, 700, 800, 800)]
    assert rows[1].chunk_offsets_ns == (200 * MS, 250 * MS, 300 * MS)


def test_an_old_vllm_file_does_not_say_when_requests_were_sent_so_no_stamp_is_made_up(tmp_path: Path) -> None:
    summary = imports.import_file("vllm_bench", FILES / "vllm_old.json", tmp_path)
    rows, steps = load(summary)
    assert Counter(stamps(m) for m in rows) == {(None,) * 5: 2}
    assert [(m.status, m.out_tokens, len(m.chunk_offsets_ns)) for m in rows] == [("ok", 5, 5), ("ok", 3, 3)]
    assert steps[0]["arrivals"] == "closed:2"
    assert "doesn't say when requests were sent" in steps[0]["notes"][0]
    assert raw(summary)["steps"][0]["ttfts"] == [0.1, 0.2]
    assert "generated_texts" not in raw(summary)["steps"][0]


def test_results_appended_to_one_vllm_file_are_steps_and_without_detail_only_sums(tmp_path: Path) -> None:
    summary = imports.import_file("vllm_bench", FILES / "vllm_appended.json", tmp_path)
    _, steps = load(summary)
    assert [step["arrivals"] for step in steps] == ["gamma:2,0.5", "poisson:4"]
    assert (summary.n_kept, summary.n_read) == (0, 6)
    assert "--save-detailed" in next(iter(summary.skipped))
    assert raw(summary)["steps"][1]["mean_ttft_ms"] == 155.0


@pytest.mark.parametrize(
    ("change", "arrivals"),
    [
        ({"request_rate": "inf", "max_concurrency": None}, "closed:3"),
        ({"request_rate": "inf", "max_concurrency": 8}, "closed:8"),
        ({"request_rate": 2.0, "burstiness": 1.0}, "poisson:2"),
        ({"request_rate": 2.0, "burstiness": float("inf")}, "constant:2"),
    ],
)
def test_vllm_s_rate_and_cap_become_arrivals(change: dict[str, Any], arrivals: str, tmp_path: Path) -> None:
    path = tmp_path / "vllm.json"
    path.write_text(json.dumps({**json.loads(SAMPLES["vllm_bench"].read_text()), **change}))
    _, steps = load(imports.import_file("vllm_bench", path, tmp_path / "results"))
    assert steps[0]["arrivals"] == arrivals
