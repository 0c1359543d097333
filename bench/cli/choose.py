"""`bench choose` and `bench whatif`: what suffices, and what a change of price, provider or speed would do."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the command."""
