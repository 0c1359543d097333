"""`bench gap`: how far open weights are behind."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
