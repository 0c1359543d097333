"""Evaluation tools' files in which anything may be anything: rows that add up and can be written, or one line."""

import json
import random
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench import database
from bench.errors import ConfigError
from bench.imports import helm, inspect, lm_eval, written
from tests.test_imports_helm import RUN, SUITE
from tests.test_imports_inspect import OLD, members, repacked
from tests.test_imports_lm_eval import MOMENT, ONE, RESULTS

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, -1e308, float("nan"), float("inf"), 10**400, "", "x", "1", "\ud800", "a\nb\t", "x" * 5000,
    [], {}, [[]], [None], {"a": 1},
)  # fmt: skip


def mutated(value: Any, rng: random.Random, share: float) -> Any:
    """The same JSON with a share of its parts, and of its keys, exchanged."""
    if rng.random() < share:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {
            k + rng.choice(["", "\ud800"]) * (rng.random() < share): mutated(v, rng, share) for k, v in value.items()
        }
    return [mutated(part, rng, share) for part in value] if isinstance(value, list) else value


def a_results_folder(tmp_path: Path, rng: random.Random, share: float) -> Path:
    samples = (ONE / f"samples_gsm8k_{MOMENT}.jsonl").read_text().splitlines()
    (tmp_path / RESULTS.name).write_text(json.dumps(mutated(json.loads(RESULTS.read_text()), rng, share)))
    lines = (json.dumps(mutated(json.loads(line), rng, share)) for line in samples)
    (tmp_path / f"samples_gsm8k_{MOMENT}.jsonl").write_text("\n".join(lines))
    return tmp_path


def a_log(tmp_path: Path, rng: random.Random, share: float) -> Path:
    names = ("header.json", "summaries.json")
    content = members(OLD)
    return repacked(tmp_path, {n: json.dumps(mutated(json.loads(content[n]), rng, share)).encode() for n in names})


def a_run(tmp_path: Path, rng: random.Random, share: float) -> Path:
    shutil.copytree(RUN, tmp_path / "run")
    for path in (tmp_path / "run").iterdir():
        content = json.loads(path.read_text())
        few = content[:2] if path.name == "per_instance_stats.json" else content
        path.write_text(json.dumps(mutated(few, rng, share)))
    return tmp_path / "run"


def a_table(tmp_path: Path, rng: random.Random, share: float) -> Path:
    (tmp_path / "groups").mkdir()
    content = json.loads((SUITE / "groups" / "core.json").read_text())
    (tmp_path / "groups" / "core.json").write_text(json.dumps(mutated(content, rng, share)))
    return tmp_path


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("format", "made"), [(lm_eval, a_results_folder), (inspect, a_log), (helm, a_run), (helm, a_table)]
)
def test_whatever_stands_in_a_file_it_is_taken_counted_or_refused(
    tmp_path: Path, format: ModuleType, made: Any, seed: int
) -> None:
    rng = random.Random(seed)
    (tmp_path / "in").mkdir()
    path = made(tmp_path / "in", rng, (0.003, 0.01, 0.05)[seed % 3])
    assert format.is_mine_path(path) in (True, False)
    try:
        found = format.read_published(path)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right, and what is wrong must be one line
        return
    written.write("x", found, tmp_path / "results")
    assert all(count.read == count.kept + sum(count.skipped.values()) for count in found.table)
    if seed == 0:
        assert database.build(tmp_path / "results").problems == []
