"""Real files of others, outside the repository: tests that read them are skipped, visibly, where they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("BENCH_REAL_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
"""BENCH_REAL_DATA, else `shared/data` beside the checkout."""


def real(name: str) -> Path:
    """The file or folder `name` of the real data; without it the test that asks is skipped."""
    path = PLACE / name
    if not path.exists():
        pytest.skip(f"needs the real data {name} in {PLACE} (set BENCH_REAL_DATA)")
    return path
