"""`bench gap` as a user starts it, on the bundled facts: the whole process, from nothing to its last line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FORMS = {
    "headline": [],
    "without its sensitivity": ["--no-sensitivity"],
    "one benchmark": ["--benchmark", "gpqa-diamond"],
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_gap_on_the_bundled_facts(benchmark: Any, tmp_path: Path, form: str) -> None:
    command = [sys.executable, "-c", "from bench.cli import main; main()", "gap", "--as-of", "2026-04-16", *FORMS[form]]

    def ask() -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout

    assert "is 9.8 index points ahead" in benchmark.pedantic(ask, rounds=5, warmup_rounds=1) or form == "one benchmark"
