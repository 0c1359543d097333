"""A use case is checked before anything is read: one line that names the file, the key, the value and the way out."""

from __future__ import annotations

import pytest

from bench.catalog.use_case import EXAMPLE, read_use_case
from bench.errors import ConfigError

GOOD = """
name = "x"
tasks_per_month = 10
[[tasks]]
name = "core/ledger"
[quality]
at_least = 0.8
[limits]
usd_per_task = 0.01
"""


def said(tmp_path, text) -> str:
    path = tmp_path / "use.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_use_case(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def test_the_example_is_valid_and_leaves_out_the_reference_models(tmp_path):
    (tmp_path / "use.toml").write_text(EXAMPLE)
    found = read_use_case(tmp_path / "use.toml")
    assert [(task.name, task.weight) for task in found.tasks] == [("core/ledger", 2.0), ("core/rewrite", 1.0)]
    assert "reference" not in found.layers
    assert found.limits.given() == {
        "ttft_ms_p95": 2000.0, "e2e_ms_p95": 20000.0, "decode_tps_p50": 20.0, "usd_per_task": 0.01,
    }  # fmt: skip


def test_a_use_case_says_only_what_it_must(tmp_path):
    (tmp_path / "use.toml").write_text(GOOD)
    found = read_use_case(tmp_path / "use.toml")
    assert (found.certainty, found.current, "reference" in found.layers) == (0.9, None, False)
    assert found.quality.told() == "at least 0.8"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tasks_per_month", "task_per_month", "unknown key 'task_per_month' = 10; did you mean 'tasks_per_month'?"),
        ("usd_per_task = 0.01", "usd_per_taks = 1", "unknown key 'limits.usd_per_taks' = 1; did you mean"),
        ("usd_per_task = 0.01", "usd_per_task = -1", "limits.usd_per_task = -1: "),
        ("usd_per_task = 0.01", "ttft_ms_p95 = 0", "limits.ttft_ms_p95 = 0: input should be greater than 0"),
        ("usd_per_task = 0.01", "ttft_ms_p95 = inf", "limits.ttft_ms_p95 = inf: "),
        ("usd_per_task = 0.01", "ttft_ms_p95 = '1s'", "limits.ttft_ms_p95 = '1s': "),
        ('"core/ledger"', '"core/ledger"\nweight = 0', "tasks.0.weight = 0: input should be greater than 0"),
        ('"core/ledger"', '"core/ledger"\nweight = nan', "tasks.0.weight = nan: "),
        ('"core/ledger"', '"core/ledger"\n[[tasks]]\nname = "core/ledger"', "task 'core/ledger' is listed twice"),
        ("at_least = 0.8", "", "give either at_least, or within and of"),
        ("at_least = 0.8", "within = 0.02", "within and of are given together"),
        ("at_least = 0.8", "at_least = 0.8\nwithin = 0.02\nof = 'a'", "give either at_least, or within and of"),
        ("at_least = 0.8", "at_least = 80", "quality.at_least = 80: input should be less than or equal to 1"),
        ("at_least = 0.8", "at_least = true", "quality.at_least = True: "),
        ("tasks_per_month = 10", "layers = ['self-hostd']", "did you mean 'self-hosted'?"),
        ("tasks_per_month = 10", "layers = []", "layers = […]: "),
        ("tasks_per_month = 10", "tasks_per_month = 0", "tasks_per_month = 0: "),
        ("tasks_per_month = 10", "certainty = 1.0", "certainty = 1.0: input should be less than 1"),
        ("tasks_per_month = 10", "certainty = 0.2", "certainty = 0.2: input should be greater than 0.5"),
        ('[[tasks]]\nname = "core/ledger"', "", "key 'tasks' is missing"),
        ('[[tasks]]\nname = "core/ledger"', "tasks = []", "tasks = […]: "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_key_value_and_way_out(tmp_path, old, new, told):
    assert old in GOOD
    assert told in said(tmp_path, GOOD.replace(old, new))


def test_a_limit_for_a_month_needs_to_know_how_many_tasks_a_month_has(tmp_path):
    text = GOOD.replace("usd_per_task = 0.01", "usd_per_month = 5").replace("tasks_per_month = 10", "")
    assert "limits.usd_per_month needs tasks_per_month" in said(tmp_path, text)


def test_what_is_no_toml_and_what_is_not_there_is_said(tmp_path):
    assert "not valid TOML" in said(tmp_path, "name = ")
    with pytest.raises(ConfigError, match=r"nowhere.toml: can't be read: No such file"):
        read_use_case(tmp_path / "nowhere.toml")
