"""The report says of each target what its newest whole run says, and nothing it doesn't know."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import analysis, database, runs
from bench.errors import ConfigError
from bench.stats import scores
from tests.store import MS, TARGET, header, measurement, sample

TASKS = ("quick_copy", "quick_add")
SUITE = SimpleNamespace(tasks=[SimpleNamespace(name=n, metric="acc", weight=1.0, chance=0.0) for n in TASKS])
OTHER = {**TARGET, "id": "lab:model", "layer": "hosted-open"}


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def judged(results: Path, name: str, right: int = 6, *, tasks=TASKS, prices=None, end="finished", **changes) -> None:
    """Ten items a task, `right` of them right, the tenth unanswered; TTFT 50, 51 … ms within a task."""
    head = header(f"2026110{name}", **changes)
    with runs.create(results, head) as run:
        samples = []
        for task in tasks:
            for k in range(10):
                late = {"first_token_ns": (51 + k) * MS, "first_answer_ns": (51 + k) * MS}
                lost = {"status": "timeout", "out_tokens": None} if k == 9 else {}
                key = f"{name}-{task}-{k}"
                run.append(
                    measurement(
                        k, task=task, request_id=key, request_key=key, target_id=head.target["id"], **{**late, **lost}
                    )
                )
                value = None if k == 9 else float(k < right)
                samples += [
                    sample(k, value, task=task, metric=metric, request_id=key, cluster=None)
                    for metric in ("acc", "acc_strict")
                ]
        run.write_samples(samples)
        run.write_scores(scores(samples, SUITE))
        run.write_prices({"prices": prices or []})
        run.finish(end)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("results")
    price = {"id": "p", "usd_per_mtok_in": "1", "usd_per_mtok_out": "10", "source": "x"}
    judged(results, "1-old", 2)
    judged(results, "2-new", 6)
    judged(results, "3-limited", 9, limit=10)
    judged(results, "4-died", 9, end="failed")
    judged(results, "5-v2", 3, suite_version=2)
    judged(results, "6-other", 8, target=OTHER, fingerprint="g", prices=[price])
    judged(results, "7-part", 8, target={**OTHER, "id": "lab:half"}, fingerprint="h", tasks=TASKS[:1])
    database.build(results)
    return results


def test_the_report_has_the_promised_columns_and_survives_json(results):
    frame = analysis.report(results)
    assert tuple(frame.columns) == analysis.REPORT_COLUMNS
    assert " ".join(frame.columns) == (
        "target layer suite suite_version task metric value ci_low ci_high n n_unscored decode_tps_p50 ttft_ms_p50 "
        "ttft_ms_p95 e2e_ms_p50 usd_per_mtok_in usd_per_mtok_out usd_total run_ids"
    )
    rows = json.loads(json.dumps(analysis.records(frame), allow_nan=False))
    assert rows[0]["run_ids"] == ["20261102-new"]
    assert rows[0]["usd_total"] is None


def test_a_target_is_shown_by_its_newest_finished_run_of_all_items_and_versions_stay_apart(results):
    frame = analysis.report(results)
    found = {(r.target, r.suite_version, r.run_ids[0]): r.value for r in frame[frame["task"] == "macro"].itertuples()}
    assert found == {
        ("embedded:nano", "1", "20261102-new"): pytest.approx(6 / 9),
        ("embedded:nano", "2", "20261105-v2"): pytest.approx(3 / 9),
        ("lab:model", "1", "20261106-other"): pytest.approx(8 / 9),
    }


def test_tasks_stand_in_the_order_of_the_suite_and_the_mean_of_all_last(results):
    frame = analysis.report(results, ["20261102-new"])
    assert frame["task"].tolist() == [*TASKS, "macro"] != [*sorted(TASKS), "macro"]


def test_a_target_that_did_not_run_every_task_has_no_macro_row(results):
    frame = analysis.report(results)
    assert frame[frame["target"] == "lab:half"]["task"].tolist() == ["quick_copy"]


def test_a_row_carries_its_interval_its_counts_and_the_primary_metric_only(results):
    frame = analysis.report(results)
    assert set(frame["metric"]) == {"acc"}
    row = frame[(frame["target"] == "lab:model") & (frame["task"] == "quick_add")].iloc[0]
    assert (row["n"], row["n_unscored"], row["layer"]) == (9, 1, "hosted-open")
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_speed_is_of_answered_attempts_with_interpolated_percentiles(results):
    frame = analysis.report(results).set_index(["target", "task"])
    row = frame.loc[("lab:model", "quick_add")]
    assert (row["ttft_ms_p50"], row["ttft_ms_p95"], row["e2e_ms_p50"]) == pytest.approx((54.0, 57.6, 150.0))
    assert row["decode_tps_p50"] == pytest.approx(1000 * 10 / 96)
    assert frame.loc[("lab:model", "macro")]["ttft_ms_p50"] == pytest.approx(54.0)


def test_money_is_summed_where_every_answer_has_a_price_and_unknown_elsewhere(results):
    frame = analysis.report(results).set_index(["target", "task"])
    row = frame.loc[("lab:model", "quick_copy")]
    assert (row["usd_per_mtok_in"], row["usd_per_mtok_out"]) == (1.0, 10.0)
    assert row["usd_total"] == pytest.approx(9 * (20 + 110) / 1e6)
    assert frame.loc[("lab:model", "macro")]["usd_total"] == pytest.approx(18 * (20 + 110) / 1e6)
    assert analysis.records(frame.loc[["lab:half"]])[0]["usd_total"] is None


def test_named_runs_are_shown_whatever_their_age_and_a_wrong_name_is_a_usage_error(results):
    frame = analysis.report(results, ["20261101-old"])
    assert frame["run_ids"].tolist() == [["20261101-old"]] * 3
    with pytest.raises(ConfigError, match=r"no run '20261101-odl' in .*; did you mean '20261101-old'"):
        analysis.report(results, ["20261101-odl"])


def test_runs_lists_every_run_newest_first_with_its_counts(results):
    frame = analysis.runs(results)
    assert frame["run_id"].tolist()[0] == "20261107-part"
    assert len(frame) == 7
    row = frame.set_index("run_id").loc["20261103-limited"]
    assert (row["n_questions"], row["n_attempts"], row["n_failed"], row["item_limit"]) == (20, 20, 2, 10)


def test_latency_is_one_row_per_attempt_and_unscored_counts_every_state(results):
    frame = analysis.latency(results, ["20261102-new"])
    assert len(frame) == 20
    assert frame["ttft_ms"].tolist()[:3] == [50.0, 51.0, 52.0]
    states = analysis.unscored(results, ["20261102-new"])
    assert [tuple(row) for row in states.drop(columns="run_id").itertuples(index=False)] == [
        ("embedded:nano", "quick_add", "scored", 9),
        ("embedded:nano", "quick_add", "unscored_error", 1),
        ("embedded:nano", "quick_copy", "scored", 9),
        ("embedded:nano", "quick_copy", "unscored_error", 1),
    ]


def test_the_last_time_of_an_answer_is_known_only_of_what_was_measured(results, tmp_path):
    assert analysis.last_e2e_ms(results, "lab:model") == 150.0
    assert analysis.last_e2e_ms(results, "nobody") is None
    assert analysis.last_e2e_ms(tmp_path / "nowhere", "lab:model") is None


def test_an_empty_store_gives_empty_tables_with_their_columns(tmp_path):
    database.build(tmp_path)
    frame = analysis.report(tmp_path)
    assert (len(frame), tuple(frame.columns)) == (0, analysis.REPORT_COLUMNS)
    assert len(analysis.runs(tmp_path)) == len(analysis.latency(tmp_path)) == len(analysis.unscored(tmp_path)) == 0
    assert analysis.records(frame) == []
