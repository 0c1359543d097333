"""Where the frozen files and YAMLs are: the checkout's `tasks/`, or `bench/_tasks` in an installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def tasks_dir() -> Path:
    """Absolute, so that nothing depends on the working folder."""
    carried = _PACKAGE / "_tasks"
    return carried if carried.is_dir() else _PACKAGE.parent / "tasks"
