"""`bench compare`: which of two is better, and how sure that is."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
