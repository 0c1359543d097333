"""What an examination says: one finding for each thing looked at, with the line of TOML that it implies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.doctor.block import assignment

State = Literal["ok", "note", "bad"]
BLOCK = "targets.toml"
"""What the last finding of a target is called: its text is the ready block."""
SIGNS = {"ok": "✓", "note": "·", "bad": "✗"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `bad` = a measurement would fail or lie; `note` = something to know."""

    what: str
    state: State
    found: str
    target: str | None = None
    quirks: Mapping[str, Any] = field(default_factory=dict)
    """What the target's block should say because of it."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sign(self) -> str:
        return SIGNS[self.state]

    @property
    def bad(self) -> bool:
        return self.state == "bad"

    def toml(self) -> list[str]:
        """The lines of TOML that it implies: `quirks.cap_field = "max_tokens"`."""
        return [
            *(assignment(f"quirks.{name}", value) for name, value in self.quirks.items()),
            *(assignment(f"options.{name}", value) for name, value in self.options.items()),
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "state": self.state,
            "found": self.found,
            "target": self.target,
            "toml": "\n".join(self.toml()) or None,
        }
