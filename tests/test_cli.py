"""The command as people and scripts use it: exit codes, one-line errors, JSON that is only JSON."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake import Running
from tests.quality_runs import BENCH, bench, environment, knowing_server

VERBS = ("run", "report", "plan", "doctor", "targets", "tasks", "models", "db")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="module")
def measured(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one small run was made."""
    folder = tmp_path_factory.mktemp("measured")
    done = bench("run", "-t", f"{server.url}#fake", "--limit", "3", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "1.000" in done.stdout
    assert "bench report --html" in done.stderr or "bench run -t" in done.stderr
    return folder


def test_help_names_every_verb(tmp_path: Path) -> None:
    done = bench("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(re.search(rf"^  {verb}\b", done.stdout, re.MULTILINE) for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-t", "embeded:nano"], "embedded"),
        (["run", "-t", "embedded:nona"], "nano"),
        (["run", "quik"], "quick"),
        (["run", "-t", "openai:gpt-5-mini"], "OPENAI_API_KEY"),
        (["run", "--max-usd", "-1"], "--max-usd -1"),
        (["run", "-t", "http://127.0.0.1:9/v1"], "MODEL"),
        (["report"], "bench run"),
        (["tasks", "quick_cpy"], "quick_copy"),
        (["models", "gpt-99-nonsense"], "gpt-99-nonsense"),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_nothing_is_started(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "results" / "runs").exists()


def test_a_typo_in_targets_toml_names_file_key_and_the_right_key(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text('[[targets]]\nid = "x"\nmodell = "m"\nbase_url = "http://127.0.0.1:9/v1"\n')
    done = bench("run", "-t", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("targets.toml", "modell", "model"))
    assert done.stderr.count("\n") == 1


def test_an_endpoint_that_is_not_there_ends_with_5(tmp_path: Path) -> None:
    done = bench("run", "-t", "http://127.0.0.1:9/v1#m", "--limit", "1", cwd=tmp_path)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_results_that_cannot_be_written_are_one_line(tmp_path: Path, server: Running) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    done = bench("run", "-t", f"{server.url}#fake", "--limit", "1", cwd=tmp_path)
    assert done.returncode in (2, 5)
    assert "results" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["report"], ["targets"], ["tasks"], ["tasks", "quick_add"], ["models"], ["db", "sql", "select 1 as one"],
        ["db", "check"], ["db", "build"], ["plan", "quick"], ["doctor"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_json_is_all_that_goes_to_stdout(arguments: list[str], measured: Path) -> None:
    done = bench(*arguments, "--json", cwd=measured)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None


def test_report_json_has_the_agreed_keys(measured: Path) -> None:
    rows = json.loads(bench("report", "--json", cwd=measured).stdout)
    run_id = rows[0]["run_ids"][0]
    named = json.loads(bench("report", run_id, "--json", cwd=measured).stdout)
    assert named == [row for row in rows if row["run_ids"] == [run_id]]
    keys = [
        "target",
        "layer",
        "suite",
        "suite_version",
        "task",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "n",
        "n_unscored",
    ]
    keys += ["decode_tps_p50", "ttft_ms_p50", "ttft_ms_p95", "e2e_ms_p50", "usd_per_mtok_in", "usd_per_mtok_out"]
    keys += ["usd_total", "run_ids"]
    assert all(list(row)[: len(keys)] == keys for row in rows)
    assert {row["task"] for row in rows} >= {"macro", "quick_copy"}
    assert all(row["usd_total"] is None for row in rows)


def test_the_page_is_whole_and_fetches_nothing(measured: Path) -> None:
    done = bench("report", "--html", "page.html", cwd=measured)
    assert done.returncode == 0, done.stderr
    text = (measured / "page.html").read_text(encoding="utf-8")
    outside_scripts = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "How good is each target?" in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", outside_scripts)
    assert not re.search(r"<link|@import|url\(", outside_scripts)


def test_a_page_that_cannot_be_written_is_one_line(measured: Path) -> None:
    done = bench("report", "--html", "no/such/folder/page.html", cwd=measured)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_pipe_that_closes_early_an_ascii_terminal_and_a_closed_stdout_are_no_failures(measured: Path) -> None:
    def shell(text: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = " ".join(shlex.quote(part) for part in BENCH)
        return subprocess.run(
            ["bash", "-c", text.replace("BENCH", command)], cwd=measured, capture_output=True, text=True, timeout=60,
            check=False, env={**environment(), **env},
        )  # fmt: skip

    for text in ("set -o pipefail; BENCH report | head -1", "BENCH report >&-", "set -o pipefail; BENCH tasks | true"):
        done = shell(text)
        assert (done.returncode, done.stderr) == (0, ""), text
    assert shell("BENCH report", PYTHONIOENCODING="ascii").returncode == 0
    full = shell("BENCH report > /dev/full")
    assert full.returncode == 5
    assert full.stderr.count("\n") == 1


def test_doctor_looks_at_a_target_and_says_what_would_be_sent(measured: Path, server: Running) -> None:
    done = bench("doctor", f"{server.url}#fake", "--json", cwd=measured)
    found = {row["what"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    assert '"stream": true' in found["payload"]["found"]
    assert found["answers"]["state"] == "ok"
    assert found["usage"]["state"] == "ok"


def test_doctor_shows_that_a_key_is_set_but_never_the_key(tmp_path: Path) -> None:
    done = bench("doctor", cwd=tmp_path, OPENAI_API_KEY="sk-canary-123456")
    assert "OPENAI_API_KEY is set" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_no_query_can_change_the_index(measured: Path) -> None:
    for text in ("drop table request", "delete from sample", "create table x as select 1"):
        assert bench("db", "sql", text, cwd=measured).returncode != 0
    assert bench("db", "check", cwd=measured).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"), [(["report", "no-such-run"], "no-such-run"), (["db", "sql", "selekt 1"], "selekt")]
)
def test_a_question_about_what_is_not_there_is_one_line(arguments: list[str], said: str, measured: Path) -> None:
    done = bench(*arguments, cwd=measured)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
