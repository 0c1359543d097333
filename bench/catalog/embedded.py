"""The models that come with the package, as `bench.engines.embedded` declares them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from bench.catalog.nouns import Model, Openness


class Member(Protocol):
    """What we need to know of one embedded model."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def tokens_seen(self) -> int: ...
    @property
    def trained(self) -> str: ...
    @property
    def checkpoint_of(self) -> str | None: ...
    @property
    def sha256(self) -> str: ...


@cache
def family() -> Mapping[str, Member]:
    """Embedded models by name; empty where the engine is not installed."""
    if find_spec("bench.engines.embedded") is None:
        return {}
    declared = getattr(import_module("bench.engines.embedded"), "family", None)
    members: Any = declared() if declared else ()
    listed = members.values() if isinstance(members, Mapping) else members
    return {member.name: cast(Member, member) for member in listed}


def models() -> dict[str, Model]:
    """A Model per family member: fully open, and of the layer that never enters a gap."""
    return {f"embedded-{name}": _model(member) for name, member in family().items()}


def _model(member: Member) -> Model:
    trained = dt.date.fromisoformat(str(member.trained)[:10])
    return Model(
        id=f"embedded-{member.name}",
        name=f"embedded {member.name}",
        vendor="gapbench",
        released=trained,
        access="fully open",
        parameters_total=member.parameters,
        licence="Apache-2.0",
        openness=Openness(weights="open", training_code="open", training_data="open"),
        served_as=(f"embedded:{member.name}",),
        layer="reference",
        tokens_seen=member.tokens_seen,
        checkpoint_of=member.checkpoint_of,
        sha256=member.sha256,
        source="trained by bench/engines/embedded/train.py",
        date=trained,
    )
