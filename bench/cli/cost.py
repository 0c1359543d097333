"""`bench cost`: dollars per million tokens, per task and per solved task; hosted or on an own GPU."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
