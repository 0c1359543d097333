"""The models that come with the package, as `bench.engines.embedded` declares them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from bench.catalog.nouns import Model, Openness


class Member(Protocol):
    """What we need to know of one embedded model."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def tokens_seen(self) -> int: ...
    @property
    def trained(self) -> dt.date: ...
    @property
    def checkpoint_of(self) -> str | None: ...
    @property
    def sha256(self) -> str: ...


@cache
def family() -> Mapping[str, Member]:
    """Embedded models by name; empty where the engine is not installed."""
    if find_spec("bench.engines.embedded") is None:
        return {}
    members: Iterable[Member] = import_module("bench.engines.embedded").family()
    return {member.name: member for member in members}


def models() -> dict[str, Model]:
    """A Model per family member: fully open, and of the layer that never enters a gap."""
    return {f"embedded-{name}": _model(member) for name, member in family().items()}


def _model(member: Member) -> Model:
    return Model(
        id=f"embedded-{member.name}",
        name=f"embedded {member.name}",
        vendor="gapbench",
        released=member.trained,
        access="fully open",
        parameters_total=member.parameters,
        context_tokens=member.context,
        licence="Apache-2.0",
        openness=Openness(weights="open", training_code="open", training_data="open"),
        served_as=(f"embedded:{member.name}",),
        layer="reference",
        tokens_seen=member.tokens_seen,
        checkpoint_of=member.checkpoint_of,
        sha256=member.sha256,
        source="trained by bench/engines/embedded/train.py",
        date=member.trained,
    )
