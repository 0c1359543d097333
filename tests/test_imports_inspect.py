"""inspect_ai's own logs become its own figures and samples, however they are packed; damaged ones cost one line.

`tests/imports/inspect` was written offline by inspect_ai over its `mockllm/acme-tiny-1` with a list of answers: by
0.3.285 (`gsm8k_zstd`, `kinds_with_error` and `mmlu_limited`, packed with zstandard; of the second, the one member with
the traceback was removed) and by 0.3.60 (deflate, and JSON). The figures below are those it printed.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import imports
from bench.errors import ConfigError
from bench.imports import inspect, inspect_logs, items, packed, streamed
from bench.imports.published import Published

FILES = Path(__file__).parent / "imports" / "inspect"
ZSTD, OLD, JSON = FILES / "gsm8k_zstd.eval", FILES / "gsm8k_0.3.60.eval", FILES / "colours_0.3.60.json"
BROKEN, LIMITED = FILES / "kinds_with_error.eval", FILES / "mmlu_limited.eval"

# Scorer, metric, value, stderr: what inspect_ai printed of both gsm8k logs.
PRINTED = [
    ("match accuracy", 0.625, 0.23935677693908453),
    ("partly accuracy", 0.5625, 0.21347814095749162),
    ("short mean", 0.875, 0.125),
    ("length mean", 2.0, 0.7071067811865476),
]


def members(path: Path) -> dict[str, bytes]:
    with packed.zip_file(path) as file:
        found = {}
        for name in file.namelist():
            with packed.member(file, name) as content:
                found[name] = content.read()
        return found


def repacked(tmp_path: Path, changes: Mapping[str, Any], source: Path = OLD) -> Path:
    """A log with some members changed (None: left out)."""
    path = tmp_path / "changed.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**members(source), **changes}.items():
            if content is not None:
                file.writestr(name, content if isinstance(content, str | bytes) else json.dumps(content))
    return path


def header(path: Path = OLD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(members(path)["header.json"])
    return found


def rows_of(found: Published) -> list[dict[str, Any]]:
    assert found.items is not None
    return [json.loads(line) for line in found.items.lines.splitlines()]


def skipped(found: Published) -> dict[str, int]:
    return dict(sum((Counter(count.skipped) for count in found.table), Counter()))


# -------------------------------------------------------------------------------------------------- packed by zstandard


def test_python_s_own_zipfile_cannot_read_what_is_read_here() -> None:
    with zipfile.ZipFile(ZSTD) as file:
        assert {entry.compress_type for entry in file.infolist()} == {packed.ZSTANDARD}
    if sys.version_info < (3, 14):
        with zipfile.ZipFile(ZSTD) as file, pytest.raises(NotImplementedError):
            file.read("header.json")
    assert json.loads(members(ZSTD)["header.json"])["status"] == "success"


def test_every_member_unpacks_to_the_bytes_its_checksum_is_of() -> None:
    for path in (ZSTD, BROKEN, LIMITED):
        with zipfile.ZipFile(path) as file:
            sizes = {entry.filename: entry.file_size for entry in file.infolist()}
        assert {name: len(content) for name, content in members(path).items()} == sizes


@pytest.mark.parametrize("at", range(0, 23_598, 1_179))
def test_a_byte_that_was_changed_anywhere_is_noticed_or_harmless(tmp_path: Path, at: int) -> None:
    content = bytearray(ZSTD.read_bytes())
    content[at] ^= 0x55
    path = tmp_path / "x.eval"
    path.write_bytes(content)
    try:
        found = inspect.read_published(path)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right, and what is wrong must be one line
    else:
        assert [row["score"] for row in found.scores] == [value for _, value, _ in PRINTED]


@pytest.mark.parametrize("n_bytes", [0, 10, 1_000, 12_000, 23_500, 23_597])
def test_a_log_that_is_cut_off_costs_one_line(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "x.eval"
    path.write_bytes(ZSTD.read_bytes()[:n_bytes])
    assert not inspect.is_mine_path(path)
    with pytest.raises(ConfigError, match=r"cut off|no whole zip"):
        inspect.read_published(path)


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("path", [ZSTD, OLD])
def test_every_metric_of_a_log_is_a_score_with_its_standard_error(path: Path) -> None:
    found = inspect.read_published(path)
    rows = [(row["scaffold"].split(", ")[1], row["score"], row["stderr"]) for row in found.scores]
    assert rows == PRINTED
    assert [(row["benchmark"], row["scale"]) for row in found.scores] == [
        ("gsm8k", "proportion"),
        ("gsm8k-partly-accuracy", "proportion"),
        ("gsm8k-short-mean", "proportion"),
        ("gsm8k-length-mean", "points"),
    ]


def test_a_score_says_how_it_was_made() -> None:
    assert inspect.read_published(ZSTD).scores[0] == {
        "model": "mockllm/acme-tiny-1",
        "benchmark": "gsm8k",
        "benchmark_version": "2",
        "score": 0.625,
        "stderr": 0.23935677693908453,
        "scale": "proportion",
        "n_items": 4,
        "scaffold": "inspect_ai 0.3.285, match accuracy, generate, 2 epochs (mean)",
        "evaluated_on": "2026-11-24",
        "source": "inspect_ai 0.3.285: gsm8k_zstd.eval",
    }


def test_a_limit_and_an_effort_are_told() -> None:
    (row,) = inspect.read_published(LIMITED).scores
    assert (row["benchmark"], row["effort"], row["n_items"]) == ("mmlu", "high", 2)
    assert row["scaffold"].endswith("2 of 4 items")
    assert row["score"] == 0.5


def test_a_json_log_is_read_like_a_packed_one() -> None:
    found = inspect.read_published(JSON)
    assert [(row["benchmark"], row["score"], row["n_items"]) for row in found.scores] == [
        ("colours-includes-accuracy", 0.6666666666666666, 3)
    ]
    assert [row["value"] for row in rows_of(found)] == [1.0, 0.0, 1.0]


def test_an_evaluation_that_did_not_end_is_counted_and_not_taken(tmp_path: Path) -> None:
    killed = repacked(tmp_path, {"header.json": None, "summaries.json": None, "reductions.json": None})
    found = inspect.read_published(killed)
    assert (found.scores, found.items) == ((), None)
    assert skipped(found) == {"an evaluation that did not end well (started)": 1}
    for change, why in (({"status": "error", "results": None}, "error"), ({"invalidated": True}, "invalidated")):
        found = inspect.read_published(repacked(tmp_path, {"header.json": header() | change}))
        assert (found.scores, found.items) == ((), None)
        assert skipped(found) == {f"an evaluation that did not end well ({why})": 1}


# -------------------------------------------------------------------------------------------------------------- samples


def test_the_means_of_samples_are_the_log_s_own_figures() -> None:
    for path in (ZSTD, OLD):
        found = inspect.read_published(path)
        assert found.items is not None
        means = {score.metric: (score.value, score.stderr, score.n) for score in found.items.scores}
        del means["length"]  # of which only the samples of length 1 are from 0 to 1
        printed = {told.split()[0]: (value, stderr, 4) for told, value, stderr in PRINTED if "length" not in told}
        printed["acc"] = printed.pop("match")  # the metric that stands for the log
        assert means == {name: pytest.approx(told) for name, told in printed.items()}


def test_epochs_are_repeats_and_a_partly_right_answer_is_a_half() -> None:
    found = [row for row in rows_of(inspect.read_published(ZSTD)) if row["metric"] == "partly"]
    assert [(row["item_id"], row["repeat"], row["value"]) for row in found] == [
        ("two", 0, 1.0), ("seven", 0, 0.0), ("four", 0, 0.5), ("nine", 0, 0.0),
        ("two", 1, 1.0), ("seven", 1, 1.0), ("four", 1, 1.0), ("nine", 1, 0.0),
    ]  # fmt: skip
    assert {(row["item_id"], row["doc_id"]) for row in found} == {("two", 0), ("seven", 1), ("four", 2), ("nine", 3)}
    assert (found[2]["answer"], found[2]["expected"]) == ("8", "8")  # of "It is 8", the first scorer's answer


def test_a_sample_that_failed_is_unscored_and_not_wrong() -> None:
    rows = rows_of(inspect.read_published(BROKEN))
    assert [(row["item_id"], row["state"], row["value"]) for row in rows] == [
        ("two", "scored", 1.0),
        ("seven", "scored", 0.0),
        ("four", "scored", 1.0),
        ("nine", "unscored_error", None),
    ]
    assert "no answer" in rows[3]["reason"]


def test_the_scorer_that_stands_for_the_log_is_called_acc_however_many_metrics_it_has(tmp_path: Path) -> None:
    told = header()
    told["results"]["scores"][0]["metrics"]["mean"] = {"name": "mean", "value": 0.625}
    told["results"]["scores"].append({**told["results"]["scores"][0], "reducer": "max"})
    found = inspect.read_published(repacked(tmp_path, {"header.json": told}))
    assert {row["metric"] for row in rows_of(found)} == {"acc", "partly", "short", "length"}
    assert [row["benchmark"] for row in found.scores].count("gsm8k") == 1  # the mean reducer's accuracy alone


def test_without_summaries_the_samples_themselves_are_read(tmp_path: Path) -> None:
    found = inspect.read_published(repacked(tmp_path, {"summaries.json": None}))
    kept = {(row["item_id"], row["repeat"], row["metric"]): row["value"] for row in rows_of(found)}
    wanted = {
        (row["item_id"], row["repeat"], row["metric"]): row["value"] for row in rows_of(inspect.read_published(OLD))
    }
    assert kept == wanted


def test_two_models_logs_are_compared_sample_by_sample(tmp_path: Path) -> None:
    from bench import database
    from bench.analysis import compare

    other = header()
    other["eval"]["model"] = "mockllm/acme-tiny-2"
    summaries = json.loads(members(OLD)["summaries.json"])
    for sample in summaries:
        sample["scores"]["match"]["value"] = "C"
    imports.import_path("inspect", OLD, tmp_path)
    imports.import_path("inspect", repacked(tmp_path, {"header.json": other, "summaries.json": summaries}), tmp_path)
    database.build(tmp_path)
    names = ("imported:inspect:mockllm/acme-tiny-1", "imported:inspect:mockllm/acme-tiny-2")
    (task, *_) = compare(tmp_path, *names).as_dict()["tasks"]
    assert (task["task"], task["n"]) == ("gsm8k", 4)


def test_a_folder_of_one_model_s_logs_keeps_the_newest_of_each_task() -> None:
    found = inspect.read_published(FILES)
    assert skipped(found) == {inspect.OLDER: 8}
    assert found.items is not None
    assert {score.task for score in found.items.scores} == {"gsm8k", "kinds", "mmlu_0_shot", "colours"}
    assert len(found.scores) == 4 + 4 + 1 + 1 + 1


def test_a_folder_of_two_models_logs_keeps_scores_only(tmp_path: Path) -> None:
    other = header()
    other["eval"]["model"] = "mockllm/acme-tiny-2"
    shutil.copyfile(OLD, tmp_path / "one.eval")
    repacked(tmp_path, {"header.json": other})
    (tmp_path / "listing.json").write_text("{}")
    found = inspect.read_published(tmp_path)
    assert (len(found.scores), found.items) == (8, None)
    assert skipped(found) == {items.OF_SEVERAL: 16, inspect.NO_LOG: 1}
    assert "import each model's files alone" in found.notes[0]


# -------------------------------------------------------------------------------------------------------------- the run


def test_the_same_log_twice_adds_nothing_whatever_it_is_called(tmp_path: Path) -> None:
    shutil.copyfile(ZSTD, tmp_path / "other.eval")
    one = imports.import_path("inspect", ZSTD, tmp_path)
    other = imports.import_path("inspect", tmp_path / "other.eval", tmp_path)
    assert (other.run_id, one.added, other.added) == (one.run_id, True, False)


def test_logs_are_known_and_other_files_are_not(tmp_path: Path) -> None:
    for path in (ZSTD, OLD, JSON, FILES):
        assert inspect.is_mine_path(path)
    with zipfile.ZipFile(tmp_path / "x.eval", "w") as file:
        file.writestr("a", "b")
    assert not inspect.is_mine_path(tmp_path)
    assert not inspect.is_mine_path(tmp_path / "none.eval")
    assert not inspect.is_mine_path(Path(__file__))
    with pytest.raises(ConfigError, match=r"it holds no header.json"):
        inspect.read_published(tmp_path / "x.eval")


def test_a_log_given_to_another_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use `bench import inspect`"):
        imports.import_path("lm_eval", ZSTD, tmp_path)


# -------------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("key", ["eval", "plan", "results", "stats"])
@pytest.mark.parametrize(
    "value", [None, 3, "x", [1], {"scores": 3}, {"config": []}, {"scores": [None, {"metrics": [1]}]}]
)
def test_a_part_of_the_wrong_type_is_unknown_or_one_line(tmp_path: Path, key: str, value: Any) -> None:
    path = repacked(tmp_path, {"header.json": header() | {key: value}})
    try:
        found = inspect.read_published(path)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right, and what is wrong must be one line
    else:
        assert all(count.read == count.kept + sum(count.skipped.values()) for count in found.table)


def test_values_that_are_none_are_counted(tmp_path: Path) -> None:
    changed = header()
    values = [float("nan"), 1e308, "0.5", None]
    for score, value in zip(changed["results"]["scores"], values, strict=True):
        next(iter(score["metrics"].values()))["value"] = value
    found = inspect.read_published(repacked(tmp_path, {"header.json": changed}))
    assert found.scores == ()
    (count, _) = found.table
    assert count.skipped == {"a value that is not a number": 3, "a number larger than any benchmark's": 1}


def test_samples_of_odd_shapes_are_counted(tmp_path: Path) -> None:
    def sample(value: Any, **changes: Any) -> dict[str, Any]:
        return {"id": "a", "epoch": 1, "scores": {"match": {"value": value}}, **changes}

    odd = [
        sample("C"), sample("C"), sample(1e308, id="b"), sample("some words", id="c"), sample([1], id="d"),
        sample("C", id=None), sample("C", epoch=0), 3, None, sample(float("nan"), id="e"), sample("yes", id=7),
        sample("C", id="f", scores=3),
    ]  # fmt: skip
    found = inspect.read_published(repacked(tmp_path, {"summaries.json": odd}))
    (_, count) = found.table
    assert count.skipped == {items.TWICE: 1, items.NO_SHARE: 4, "a sample without its id or epoch": 4}
    assert [(row["item_id"], row["state"], row["value"]) for row in rows_of(found)] == [
        ("a", "scored", 1.0),
        ("e", "unscored_error", None),
        ("7", "scored", 1.0),
    ]


@pytest.mark.parametrize(
    "content", [b"[", b"{}", b"", b'[{"id": "a"}', b'[{"id": "a"} {"id": "b"', b"\xff\xfe[", b"[" * 90_000]
)
def test_summaries_that_are_damaged_cost_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError) as raised:
        inspect.read_published(repacked(tmp_path, {"summaries.json": content}))
    assert "summaries.json" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_member_that_unpacks_to_more_than_any_header_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_logs, "MOST_BYTES", 1_000)
    monkeypatch.setattr(streamed, "MOST_BYTES", 1_000)
    with pytest.raises(ConfigError, match="too much to read at once"):
        inspect.read_published(ZSTD)
    with pytest.raises(ConfigError, match="inspect log convert"):
        inspect.read_published(JSON)


def test_a_list_is_read_element_by_element_whatever_the_pieces_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from io import BytesIO

    content = [1, 23, -4.5, "é🙂]", {"a": [1, {"b": "],["}]}, None, True, "", []]
    text = json.dumps(content, ensure_ascii=False, indent=1).encode()
    for n in range(1, 40):
        monkeypatch.setattr(streamed, "PIECE_BYTES", n)
        assert list(streamed.elements("x", BytesIO(text))) == content
        assert list(streamed.elements("x", BytesIO(b"\xef\xbb\xbf[]"))) == []


@pytest.mark.slow
def test_200_mb_of_samples_are_read_within_a_gigabyte(tmp_path: Path) -> None:
    (sample, *_) = json.loads(members(OLD)["summaries.json"])
    text = "[" + ",".join(json.dumps({**sample, "id": str(n), "input": "x" * 500}) for n in range(285_000)) + "]"
    assert len(text) > 200e6
    path = repacked(tmp_path, {"summaries.json": text})
    del text
    code = (
        "import resource, sys; from pathlib import Path; from bench import imports;"
        "s = imports.import_path('inspect', Path(sys.argv[1]), Path(sys.argv[2]));"
        "print(s.n_items, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    n, mb = map(int, done.stdout.split())
    assert n >= items.MOST
    assert mb < 1024
