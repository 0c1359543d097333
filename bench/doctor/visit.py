"""One target while it is examined: its client, what was asked and spent, and what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

from bench.catalog import Catalog, Price, Target
from bench.client import Client
from bench.doctor.findings import Finding, State
from bench.doctor.tape import Tape
from bench.errors import ConfigError
from bench.records import ANSWERED, Endpoint, Measurement, Message, Request
from bench.wires.common import merged, parse

PLAIN = "copy: abc\nAnswer:"
"""For models that take no messages: ours can do this, and base models often."""
DEFAULT_WAIT_S = 2.0
MOST_WAIT_S = 60.0
"""In all, for one target's limits."""
COUNTING = "Count from 1 to 40, separated by blanks: 1 2 3"


class Fatal(Exception):
    """Nothing that comes later could be found out."""


@dataclass(kw_only=True)
class Spent:
    """What the examination has used so far."""

    requests: int = 0
    in_tokens: int = 0
    out_tokens: int = 0
    usd: Decimal = Decimal(0)


@dataclass(kw_only=True)
class Visit:
    """What probes are handed. They ask, and tell; a quirk that is told holds for all later requests."""

    target: Target
    endpoint: Endpoint
    client: Client
    tape: Tape
    catalog: Catalog
    price: Price | None
    chat: bool = True
    """Whether the wire takes messages."""
    found: list[Finding] = field(default_factory=list)
    quirks: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the newest answer."""
    context_tokens: int | None = None
    tokens_per_word: float | None = None
    listed: list[str] = field(default_factory=list)
    n_waits: int = 0
    waited_s: float = 0.0
    answers: list[Measurement] = field(default_factory=list)
    """Every one so far that was an answer."""

    def tell(
        self,
        what: str,
        state: State,
        found: str,
        *,
        quirks: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """A finding; its quirks hold from now on, and stand in the block at the end."""
        self.quirks |= quirks or {}
        self.options |= options or {}
        self.endpoint = replace(self.endpoint, quirks={**self.endpoint.quirks, **(quirks or {})})
        self.client.endpoint = self.endpoint
        said = " ".join("".join(c if c.isprintable() else " " for c in found).split())
        self.found.append(
            Finding(
                target=self.target.id, what=what, state=state, found=said, quirks=quirks or {}, options=options or {}
            )
        )

    def fatal(self, what: str, found: str, *, quirks: Mapping[str, Any] | None = None) -> Fatal:
        """To be raised: told as bad, and the end of this examination."""
        self.tell(what, "bad", found, quirks=quirks)
        return Fatal(found)

    def request(self, text: str, *, cap: int = 16, system: str | None = None, **fields: Any) -> Request:
        """A question as this target is asked one: its own temperature, effort, extra fields unless told otherwise."""
        options = self.target.options
        words = (Message(role="system", content=system),) if system else ()
        told: dict[str, Any] = {
            "temperature": options.temperature,
            "effort": options.reasoning_effort,
            **fields,
            "extra": merged(options.extra, fields.get("extra", {})),
        }
        return Request(
            request_id=uuid4().hex,
            request_key="doctor",
            kind="warmup",
            messages=(*words, Message(role="user", content=text)) if self.chat else None,
            prompt=None if self.chat else text,
            max_tokens=cap,
            **told,
        )

    def changes(self, with_: Request, without: Request, bend: Mapping[str, Any] | None = None) -> bool:
        """Whether the wire carries what tells the two apart; what it cannot or does not carry need not be probed."""
        try:
            plain = self.tape.encode(self.endpoint, without).body
            return self.tape.encode(self._bent(bend), with_).body != plain
        except ConfigError:
            return False

    async def send(self, request: Request, bend: Mapping[str, Any] | None = None) -> Measurement:
        """One attempt, under these quirks, and more where the server's limits ask for patience; all are counted.

        ConfigError when the wire cannot carry it.
        """
        while True:
            self.client.endpoint = self._bent(bend)
            try:
                answer = await self.client.send(request)
            finally:
                self.client.endpoint = self.endpoint
            self.count(answer)
            wait_s = DEFAULT_WAIT_S if answer.retry_after_s is None else answer.retry_after_s
            if answer.http_status != 429 or not answer.retryable or self.waited_s + wait_s > MOST_WAIT_S:
                return answer
            self.n_waits += 1
            self.waited_s += wait_s
            await asyncio.sleep(wait_s)
            request = replace(request, request_id=uuid4().hex, attempt=request.attempt + 1)

    async def ask(self, text: str, *, bend: Mapping[str, Any] | None = None, **fields: Any) -> Measurement:
        """`send` of a `request`."""
        return await self.send(self.request(text, **fields), bend)

    def count(self, answer: Measurement) -> None:
        spent = self.spent
        spent.requests += 1
        spent.in_tokens += answer.in_tokens or 0
        spent.out_tokens += answer.out_tokens or answer.chunks
        spent.usd += self._cost(answer)
        if answered(answer):
            self.answers.append(answer)

    def _cost(self, answer: Measurement) -> Decimal:
        """What the provider says, else usage times price."""
        from bench.price import cost_usd

        if answer.provider_usd is not None:
            return Decimal(answer.provider_usd)
        return (cost_usd(self.price, answer) if self.price is not None else None) or Decimal(0)

    def payloads(self) -> list[dict[str, Any]]:
        """The JSON objects of the newest stream."""
        return [parse(payload) for payload in self.tape.payloads if payload.lstrip().startswith(b"{")]

    def _bent(self, bend: Mapping[str, Any] | None) -> Endpoint:
        return replace(self.endpoint, quirks={**self.endpoint.quirks, **bend}) if bend else self.endpoint


def answered(answer: Measurement) -> bool:
    return answer.status in ANSWERED


def refused(answer: Measurement) -> bool:
    """Whether the server said that the request itself is wrong."""
    return answer.http_status in (400, 422)


def said(answer: Measurement) -> str:
    """All that was generated, thoughts first."""
    return f"{answer.reasoning or ''}{answer.answer or ''}"


def why(answer: Measurement, at_most: int = 160) -> str:
    """How an attempt failed, in short."""
    text = answer.error or answer.status
    return text if len(text) <= at_most else text[: at_most - 1] + "…"
