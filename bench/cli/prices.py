"""`bench prices`: what tokens cost, when, and who says so."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
