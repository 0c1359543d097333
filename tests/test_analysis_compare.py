"""Comparisons from the store: which runs they take, what they refuse, and figures done by hand."""

from __future__ import annotations

import json
import os
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from bench import analysis, database
from bench.analysis.compare import COMPARE_COLUMNS
from bench.errors import ConfigError
from tests.judged_runs import Values, judged

RIGHT, WRONG = [1.0], [0.0]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def drawn(right: float, n: int = 200, repeats: int = 2, seed: int = 0) -> list[list[float | None]]:
    """Items whose difficulty is the same for every `seed` of the same `n`."""
    hard = np.random.default_rng(99).uniform(-0.2, 0.2, n)
    return (np.random.default_rng(seed).random((repeats, n)) < right + hard).astype(float).T.tolist()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("results")
    twice = lambda right, seed: {"quick_copy": drawn(right, seed=seed), "quick_sort": drawn(right, seed=seed + 1)}  # noqa: E731
    judged(results, "20261101T000000000Z-old", "lab:good", twice(0.1, 0))
    judged(results, "20261102T000000000Z-good", "lab:good", twice(0.75, 2), cluster_of=4)
    judged(results, "20261103T000000000Z-bad", "lab:bad", twice(0.4, 4), cluster_of=4)
    judged(results, "20261103T000000000Z-twin", "lab:twin", twice(0.75, 2), cluster_of=4)
    judged(
        results, "20261104T000000000Z-few", "lab:bad", {"quick_copy": [RIGHT] * 9, "quick_sort": [WRONG] * 9}, limit=9
    )
    judged(results, "20261104T000000000Z-fresh", "lab:fresh", twice(0.5, 1), items="2026-12")
    judged(results, "20261105T000000000Z-two", "lab:good", twice(0.9, 9), suite="other", suite_version="2")
    judged(results, "20261105T000000000Z-one", "lab:bad", twice(0.9, 9), suite="other", suite_version="1")
    judged(results, "20261106T000000000Z-half", "lab:half", twice(0.5, 1), end="failed")
    judged(results, "20261107T000000000Z-part", "lab:part", {"quick_copy": drawn(0.5)})
    judged(results, "20261107T000000000Z-less", "lab:less", {"quick_copy": drawn(0.5, 190), "quick_sort": drawn(0.5)})
    lost = {"quick_copy": [*drawn(0.75, 190), *[[None, None]] * 10], "quick_sort": drawn(0.75)}
    judged(results, "20261108T000000000Z-lost", "lab:lost", lost, cluster_of=4)
    assert database.build(results).problems == []
    return results


def test_the_frame_has_the_promised_columns_and_survives_json(results):
    found = analysis.compare(results, "lab:good", "lab:bad")
    assert tuple(found.frame.columns) == COMPARE_COLUMNS
    assert found.frame["task"].tolist() == ["quick_copy", "quick_sort", "macro", "macro_rescaled"]
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["macro"]["weight"] is None
    assert [task["task"] for task in told["tasks"]] == ["quick_copy", "quick_sort"]
    assert (told["run_a"], told["verdict"]) == ("20261102T000000000Z-good", "ahead")


def test_the_newest_runs_that_asked_the_same_are_taken(results):
    found = analysis.compare(results, "lab:good", "lab:bad")
    assert (found.run_a, found.run_b) == ("20261102T000000000Z-good", "20261103T000000000Z-bad")
    assert found.measured == "2026-11-02 to 2026-11-03"
    named = analysis.compare(results, "20261101", "20261103T000000000Z-b")
    assert (named.run_a, named.a) == ("20261101T000000000Z-old", "lab:good")
    assert named.verdict == "behind"


def test_a_target_that_has_changed_since_is_said_to_have(results, tmp_path):
    for k, (name, print_, limit) in enumerate((("a", "1", None), ("b", "1", None), ("a", "2", 9))):
        few = {"quick_copy": [RIGHT] * 20}
        judged(tmp_path, f"2026110{k}T000000000Z-{name}", f"lab:{name}", few, fingerprint=print_, limit=limit)
    database.build(tmp_path)
    found = analysis.compare(tmp_path, "lab:a", "lab:b")
    assert any(note.startswith("lab:a has changed since: run 20261102T000000000Z-a") for note in found.notes)
    assert not any("changed" in note for note in analysis.compare(results, "lab:good", "lab:bad").notes)


def test_the_figures_are_those_of_the_items(results):
    row = analysis.compare(results, "lab:good", "lab:bad").frame.set_index("task").loc["quick_copy"]
    a, b = (np.mean(drawn(right, seed=seed), axis=1) for right, seed in ((0.75, 2), (0.4, 4)))
    d = a - b
    sums = (d - d.mean()).reshape(50, 4).sum(axis=1)
    assert row["difference"] == pytest.approx(d.mean())
    assert row["stderr"] == pytest.approx(sqrt(50 / 49 * (sums**2).sum()) / 200)
    assert (row["a"], row["b"]) == (pytest.approx(a.mean()), pytest.approx(b.mean()))
    assert row["correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert (row["n"], row["n_clusters"], row["degrees"]) == (200, 50, 49)
    assert row["boot_low"] == pytest.approx(row["ci_low"], abs=0.02)


def test_the_macro_mean_has_the_suites_weights_and_chance(results):
    frame = analysis.compare(results, "lab:good", "lab:bad").frame.set_index("task")
    copy, sort = frame.loc["quick_copy"], frame.loc["quick_sort"]
    assert frame.loc["macro", "difference"] == pytest.approx((copy["difference"] + sort["difference"]) / 2)
    assert frame.loc["macro", "stderr"] == pytest.approx(sqrt(copy["stderr"] ** 2 + sort["stderr"] ** 2) / 2)
    # of `quick`: sort is guessed right in 5.83 of 100, copy never
    rescaled = (copy["difference"] + sort["difference"] / (1 - 0.0583)) / 2
    assert frame.loc["macro_rescaled", "difference"] == pytest.approx(rescaled)
    weighted = analysis.compare(results, "lab:good", "lab:bad", weights={"quick_copy": 3, "quick_sort": 1}).frame
    expected = 0.75 * copy["difference"] + 0.25 * sort["difference"]
    assert weighted.set_index("task").loc["macro", "difference"] == pytest.approx(expected)
    with pytest.raises(ConfigError, match="weights must name every task"):
        analysis.compare(results, "lab:good", "lab:bad", weights={"quick_copy": 3})


def test_p_values_of_tasks_are_corrected_and_the_macros_is_not(results):
    holm = analysis.compare(results, "lab:good", "lab:bad").frame.set_index("task")
    least, most = holm.loc[["quick_copy", "quick_sort"]].sort_values("p")["p"]
    assert sorted(holm.loc[["quick_copy", "quick_sort"], "p_adjusted"]) == pytest.approx(
        [2 * least, max(2 * least, most)]
    )
    assert holm.loc["macro", "p_adjusted"] == holm.loc["macro", "p"]
    found = analysis.compare(results, "lab:good", "lab:bad", explore=True)
    assert found.correction == "benjamini-hochberg"
    assert any("exploration" in note for note in found.notes)


def test_twins_are_at_parity_within_a_wide_margin_and_inconclusive_within_a_narrow_one(results):
    wide = analysis.compare(results, "lab:good", "lab:twin", margin=0.05)
    assert (wide.verdict, wide.why) == ("at parity", "within the margin")
    assert "at parity on quick@1" in wide.sentence
    assert "within the margin of 5.0 points" in wide.sentence
    narrow = analysis.compare(results, "lab:good", "lab:twin", margin=0.0005)
    assert narrow.verdict == "inconclusive"
    assert any("times as many items" in note for note in narrow.notes)


def test_both_orders_tell_the_same_story(results):
    there, back = analysis.compare(results, "lab:good", "lab:bad"), analysis.compare(results, "lab:bad", "lab:good")
    assert (there.verdict, back.verdict) == ("ahead", "behind")
    for name in ("difference", "ci_low"):
        mirrored = "ci_high" if name == "ci_low" else name
        assert there.frame[name].to_numpy() == pytest.approx(-back.frame[mirrored].to_numpy())


def test_too_many_unscored_make_it_inconclusive_with_the_bounds_said(results):
    found = analysis.compare(results, "lab:good", "lab:lost")
    frame = found.frame.set_index("task")
    assert (frame.loc["quick_copy", "verdict"], frame.loc["quick_copy", "why"]) == (
        "inconclusive",
        "5.0% unscored, over 2%",
    )
    assert frame.loc["quick_copy", "n"] == 190
    assert frame.loc["quick_copy", "high_bound"] - frame.loc["quick_copy", "low_bound"] == pytest.approx(0.05)
    assert found.verdict == "inconclusive"
    assert found.sentence.startswith("Inconclusive: ")
    assert any(note.startswith("quick_copy: 20 unscored") for note in found.notes)


def test_runs_of_one_target_go_by_their_ids(results):
    found = analysis.compare(results, "20261102T000000000Z-good", "20261101T000000000Z-old")
    assert found.a == "lab:good (20261102T000000000Z-good)"
    assert found.verdict == "ahead"


def test_a_suite_that_is_not_here_any_more_weighs_tasks_alike_and_says_so(results):
    judged(results, "20261109T000000000Z-x", "lab:x", {"t": [RIGHT] * 30}, suite="gone")
    judged(results, "20261109T000000000Z-y", "lab:y", {"t": [WRONG] * 30}, suite="gone")
    database.build(results)
    found = analysis.compare(results, "lab:x", "lab:y")
    assert found.frame["task"].tolist() == ["t", "macro"]
    assert any("weigh the same" in note for note in found.notes)


@pytest.mark.parametrize(
    ("a", "b", "more", "said"),
    [
        ("lab:good", "lab:fresh", {}, "different items are never compared: lab:good was asked"),
        (
            "20261105T000000000Z-two",
            "20261105T000000000Z-one",
            {},
            "different suites or suite versions are never compared",
        ),
        (
            "lab:good",
            "20261105T000000000Z-one",
            {"suite": "other@1"},
            "lab:good was not asked other@1 but other@2, quick@1",
        ),
        ("lab:good", "lab:good", {}, "name two of its runs (20261105T000000000Z-two, 2026"),
        ("20261101T000000000Z-old", "20261101", {}, "same run"),
        ("lab:goof", "lab:bad", {}, "did you mean 'lab:good'"),
        ("lab:half", "lab:bad", {}, "no finished run"),
        ("20261106T000000000Z-half", "lab:bad", {}, "failed"),
        ("2026110", "lab:bad", {}, "runs begin with '2026110'"),
        ("lab:good", "lab:bad", {"suite": "quik"}, "quick@1"),
        ("lab:good", "lab:part", {}, "task quick_sort of 20261102T000000000Z-good"),
        ("lab:good", "lab:less", {}, "task quick_copy: the runs hold different items (200 and 190, 10 in one only)"),
        ("lab:good", "lab:bad", {"margin": 2.0}, "margin = 2.0"),
        ("lab:good", "lab:bad", {"confidence": 95.0}, "confidence = 95.0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(results, a, b, more, said):
    with pytest.raises(ConfigError) as caught:
        analysis.compare(results, a, b, **more)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "more", "said"),
    [
        (
            "imported:lm_eval:one",
            "imported:lm_eval:two",
            {},
            "different items are never compared: imported:lm_eval:one holds lm_eval on gsm8k, mmlu "
            "(suite hash aaaaaaaa), imported:lm_eval:two holds lm_eval on gsm8k (suite hash bbbbbbbb); "
            "import evaluations of both on the same tasks, items and shots",
        ),
        (
            "imported:lm_eval:one",
            "lab:here",
            {},
            "imported:lm_eval:one holds lm_eval on gsm8k, mmlu (suite hash aaaaaaaa), lab:here was asked quick@1 "
            "(frozen, all items, suite hash cccccccc); an import is compared with an import of the same items only",
        ),
        (
            "imported:lm_eval:one",
            "lab:here",
            {"suite": "quick"},
            "imported:lm_eval:one was not asked quick but imported-lm_eval@1; an import is compared with an import of",
        ),
        ("imported:helm:one", "imported:helm:two", {}, "task mmlu of 20261113T000000000Z-h1 has no metric in common"),
        ("imported:helm:one", "imported:helm:two", {}, "import evaluations of both on the same tasks, items and shots"),
        (
            "imported:helm:one",
            "imported:helm:three",
            {},
            "different items (2 and 1, 1 in one only); import evaluations",
        ),
        ("imported:nobody", "lab:here", {}, "'imported:nobody' is no target or run that was judged in"),
    ],
)
def test_an_import_is_never_told_to_be_run(tmp_path, a, b, more, said):
    def imported(run: str, tool: str, name: str, values: Values, digest: str) -> None:
        about = {"suite": f"imported-{tool}", "suite_version": "1", "suite_hash": digest, "items": "imported"}
        judged(tmp_path, f"20261113T000000000Z-{run}", f"imported:{tool}:{name}", values, **about)

    imported("one", "lm_eval", "one", {"gsm8k": [RIGHT] * 2, "mmlu": [RIGHT]}, "a" * 64)
    imported("two", "lm_eval", "two", {"gsm8k": [RIGHT] * 2}, "b" * 64)
    imported("h1", "helm", "one", {"gsm8k": [RIGHT] * 2, "mmlu": [RIGHT]}, "d" * 64)
    imported("h2", "helm", "two", {"gsm8k": [RIGHT] * 2}, "d" * 64)
    imported("h3", "helm", "three", {"gsm8k": [RIGHT], "mmlu": [RIGHT]}, "d" * 64)
    judged(
        tmp_path, "20261113T000000000Z-here", "lab:here", {"quick_copy": [RIGHT]}, suite_hash="c" * 64, items="frozen"
    )
    database.build(tmp_path)
    with pytest.raises(ConfigError) as caught:
        analysis.compare(tmp_path, a, b, **more)
    assert said in str(caught.value)
    assert "bench run" not in str(caught.value)


def test_points_are_of_a_hundred_and_zero_has_no_minus():
    assert [analysis.points(x) for x in (0.0123, -0.0123, -0.00001, 0.0)] == ["+1.2", "−1.2", "+0.0", "+0.0"]
    assert analysis.points(0.95, sign=False) == "95.0"
