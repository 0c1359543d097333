"""The allowance of a run: reserved before a request is sent, settled by what its answer cost.

The rule, in full in docs/budget.md. A request reserves the most it can take: its text as input tokens, its whole token
cap (thoughts included) as output, both times the largest factor by which an answer of this run has passed that. It is
sent only if what is spent, what is reserved and its own reservation fit into the allowance. So spending can pass the
allowance only by what requests under way took beyond their reservations: once an overrun is seen, every reservation
grows by its factor, those of requests under way included, and the next request waits for room or is not sent.

`Book` is the arithmetic, a pure function of the attempts in the order of the journal: reading a journal again gives
the same figures to the last digit, which is how a resumed run and `bench ledger` know what was spent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

from bench.errors import BudgetStop, ConfigError
from bench.records import ANSWERED

if TYPE_CHECKING:
    from bench.catalog import Price
    from bench.price import Tariff
    from bench.records import Measurement, Request

CHARACTERS_PER_TOKEN = 3.3
"""Low on purpose, so that a reservation is rather too large: English prose has about 4, digits about 2.6."""
BYTES_PER_TOKEN_ELSEWHERE = 2
"""Outside ASCII: a Cyrillic letter is then one token, a Chinese one 1.5, an emoji 2."""
TEMPLATE_TOKENS = 16
"""What a chat template adds to a prompt."""
TOKENS_PER_MESSAGE = 4
"""What it adds for each further message."""
UP = Context(prec=28, rounding=ROUND_UP)

Basis = Literal["provider", "usage", "reserved", "free", "unpriced"]
"""How an attempt's cost is known: the provider's own word; usage times price; not at all, so that its reservation
counts; nothing, because it was refused or never sent; not at all, because there is no price either."""


class Asked(NamedTuple):
    """What one request may take by its own terms [tokens]."""

    in_tokens: int
    """Estimated from its characters."""
    out_tokens: int
    """Its whole cap."""


class Most(NamedTuple):
    """What is set aside for one request."""

    usd: Decimal
    tokens: int


class Entry(NamedTuple):
    """What one attempt took."""

    usd: Decimal
    tokens: int
    """Input and output."""
    basis: Basis


def tokens_in(text: str) -> int:
    """Estimated from characters, rather too high."""
    ascii_ = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    elsewhere = 0 if ascii_ == len(text) else len(text.encode("utf-8", "replace")) - ascii_
    return int(ascii_ / CHARACTERS_PER_TOKEN + elsewhere / BYTES_PER_TOKEN_ELSEWHERE)


def asked(request: Request) -> Asked:
    """What a request may take: every text it carries, tools and schema too, and its whole cap."""
    texts = [request.prompt or "", *(message.content for message in request.messages or ())]
    texts += [json.dumps([tool.name, tool.description, dict(tool.parameters)]) for tool in request.tools]
    texts += [json.dumps(dict(request.answer_schema))] if request.answer_schema else []
    further = max(len(request.messages or ()) - 1, 0)
    return Asked(tokens_in("".join(texts)) + TEMPLATE_TOKENS + further * TOKENS_PER_MESSAGE, request.max_tokens)


def asked_before(measurement: Measurement, cap: int) -> Asked:
    """The same of a row of the journal; `cap` where the row doesn't say what its request's was."""
    in_tokens, out_tokens = measurement.asked_in_tokens, measurement.asked_out_tokens
    if in_tokens is None:
        in_tokens = tokens_in(measurement.prompt or "") + TEMPLATE_TOKENS
    return Asked(in_tokens, cap if out_tokens is None else out_tokens)


@dataclass(kw_only=True)
class Book:
    """What attempts took so far, and what they taught about reservations. Same attempts, same order: same figures."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    in_factor: Fraction = Fraction(1)
    """Largest ratio of input tokens counted to those estimated, at least 1."""
    out_factor: Fraction = Fraction(1)
    """Largest ratio of output tokens to the cap, at least 1: servers ignore caps."""
    usd_factor: Decimal = Decimal(1)
    """Largest ratio of dollars to what the tokens can cost by the price, at least 1: providers bill otherwise."""
    usd_per_token: Decimal = Decimal(0)
    """Dearest answer so far where the price says nothing: what it cost by its reserved tokens."""

    def most(self, ask: Asked, tariff: Tariff | None) -> Most:
        """What to set aside for a request, as far as is known by now."""
        in_tokens, out_tokens = ceil(ask.in_tokens * self.in_factor), ceil(ask.out_tokens * self.out_factor)
        return Most(self._most_usd(in_tokens, out_tokens, tariff), in_tokens + out_tokens)

    def _most_usd(self, in_tokens: int, out_tokens: int, tariff: Tariff | None) -> Decimal:
        listed = Decimal(0) if tariff is None else tariff.worst_usd(in_tokens, out_tokens)
        if not listed:
            return UP.multiply(self.usd_per_token, Decimal(in_tokens + out_tokens))
        return listed if self.usd_factor == 1 else UP.multiply(listed, self.usd_factor)

    def enter(self, measurement: Measurement, ask: Asked, tariff: Tariff | None) -> Entry:
        """Count an attempt that has ended, and learn from it."""
        entry = self._entry(measurement, ask, tariff)
        self.usd += entry.usd
        self.tokens += entry.tokens
        if entry.basis != "free":
            self._learn(measurement, ask, entry, tariff)
        return entry

    def _entry(self, m: Measurement, ask: Asked, tariff: Tariff | None) -> Entry:
        told = provider_usd(m)
        counted = m.status in ANSWERED and m.in_tokens is not None and m.out_tokens is not None
        if told is None and not counted and _cost_nothing(m):
            return Entry(Decimal(0), 0, "free")
        seen_in, seen_out = _seen(m)
        most_in = max(ceil(ask.in_tokens * self.in_factor), seen_in)
        most_out = max(ceil(ask.out_tokens * self.out_factor), seen_out)
        tokens = seen_in + (m.out_tokens or 0) if counted else most_in + most_out
        if told is not None:
            return Entry(told, tokens, "provider")
        by_usage = tariff.cost_usd(m, m.service_tier) if tariff is not None and counted else None
        if by_usage is not None:
            return Entry(by_usage, tokens, "usage")
        most_usd = Decimal(0) if counted else self._most_usd(most_in, most_out, tariff)
        return Entry(most_usd, tokens, "unpriced" if tariff is None else "reserved")

    def _learn(self, m: Measurement, ask: Asked, entry: Entry, tariff: Tariff | None) -> None:
        seen_in, seen_out = _seen(m)
        self.in_factor = max(self.in_factor, Fraction(seen_in, max(ask.in_tokens, 1)))
        self.out_factor = max(self.out_factor, Fraction(seen_out, max(ask.out_tokens, 1)))
        if entry.basis not in ("provider", "usage"):
            return
        in_tokens, out_tokens = ceil(ask.in_tokens * self.in_factor), ceil(ask.out_tokens * self.out_factor)
        listed = Decimal(0) if tariff is None else tariff.worst_usd(in_tokens, out_tokens)
        if listed:
            self.usd_factor = max(self.usd_factor, UP.divide(entry.usd, listed))
        else:
            self.usd_per_token = max(self.usd_per_token, UP.divide(entry.usd, Decimal(max(in_tokens + out_tokens, 1))))

    def learned(self) -> str:
        """What was learned, for a message; empty when every answer kept to its reservation."""
        told = []
        if self.in_factor > 1:
            told.append(f"prompts count up to {float(self.in_factor):.1f} times the tokens estimated")
        if self.out_factor > 1:
            told.append(f"answers are up to {float(self.out_factor):.1f} times as long as their cap")
        if self.usd_factor > 1:
            told.append(f"answers are billed at up to {float(self.usd_factor):.1f} times the list price")
        return ", ".join(told)


@dataclass(kw_only=True)
class Budget:
    """At most `max_usd` and `max_tokens` (input and output) for everything sent through it; `None` = no limit.

    Give it a `book` that holds what was spent before. One object per run, used inside one event loop.
    """

    max_usd: Decimal | None
    price: Price | Tariff | None
    max_tokens: int | None = None
    book: Book = field(default_factory=Book)
    _under_way: dict[str, Asked] = field(default_factory=dict)

    @property
    def spent_usd(self) -> Decimal:
        return self.book.usd

    @property
    def spent_tokens(self) -> int:
        return self.book.tokens

    @property
    def tariff(self) -> Tariff | None:
        from bench.price import Tariff

        return self.price if self.price is None or isinstance(self.price, Tariff) else Tariff.of(self.price)

    def reserve(self, request: Request) -> bool:
        """Set aside the most this request can cost. False: wait until something under way is settled.

        BudgetStop when it would not fit even if all that is under way turned out to cost nothing.
        """
        ask = asked(request)
        if self.max_usd is not None or self.max_tokens is not None:
            tariff = self.tariff
            worst = self.book.most(ask, tariff)
            self._check(worst)
            under_way = [self.book.most(each, tariff) for each in self._under_way.values()]
            usd = self.book.usd + worst.usd + sum((each.usd for each in under_way), Decimal(0))
            tokens = self.book.tokens + worst.tokens + sum(each.tokens for each in under_way)
            if (self.max_usd is not None and worst.usd and usd > self.max_usd) or (
                self.max_tokens is not None and tokens > self.max_tokens
            ):
                return False
        self._under_way[request.request_id] = ask
        return True

    def hold(self, request: Request) -> None:
        """Set it aside whether it fits or not: it is at the provider already, from an earlier session."""
        self._under_way[request.request_id] = asked(request)

    def _check(self, worst: Most) -> None:
        learned = self.book.learned()
        why = f" ({learned})" if learned else ""
        if self.max_usd is not None and self.book.usd + worst.usd > self.max_usd and worst.usd:
            raise BudgetStop(
                f"the allowance of {self.max_usd} $ is used up: {self.book.usd:.6f} $ spent, and the next request may "
                f"cost {worst.usd:.6f} ${why}; run the same command with a higher --max-usd to go on"
            )
        if self.max_tokens is not None and self.book.tokens + worst.tokens > self.max_tokens:
            raise BudgetStop(
                f"the allowance of {self.max_tokens} tokens is used up: {self.book.tokens} spent, and the next request "
                f"may take {worst.tokens}{why}; run the same command with a higher --token-budget to go on"
            )

    def settle(self, measurement: Measurement) -> Entry:
        """Replace the reservation by what the attempt cost."""
        ask = self._under_way.pop(measurement.request_id, None) or asked_before(measurement, 0)
        return self.book.enter(measurement, ask, self.tariff)

    def asked(self, request_id: str) -> Asked | None:
        """What a request under way was reserved by."""
        return self._under_way.get(request_id)


def provider_usd(measurement: Measurement) -> Decimal | None:
    """The provider's word on the cost [$]; None where it gave none, or one that is no amount."""
    if measurement.provider_usd is None:
        return None
    try:
        amount = Decimal(measurement.provider_usd)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def worst_usd(text: str, max_tokens: int, price: Price | None) -> Decimal:
    """The most one request can cost [$]: its characters as input tokens, and its whole token cap as output."""
    if price is None:
        return Decimal(0)
    from bench.price import Tariff

    return Tariff.of(price).worst_usd(tokens_in(text) + TEMPLATE_TOKENS, max_tokens)


def dollars(text: str) -> Decimal:
    """An allowance as people type it; ConfigError unless it is a positive number."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise ConfigError(f"--max-usd {text}: give a positive number of dollars, like 0.50")
    return amount


def replayed(book: Book, attempts: Iterable[tuple[Measurement, Asked, Tariff | None]]) -> Book:
    """A book with these attempts entered, in their order."""
    for measurement, ask, tariff in attempts:
        book.enter(measurement, ask, tariff)
    return book


def _cost_nothing(m: Measurement) -> bool:
    """Never sent, or refused with an HTTP status of its own before any answer began."""
    if m.status in ANSWERED or m.chunks or m.answer or m.reasoning or m.in_tokens or m.out_tokens:
        return False
    refused = m.http_status is not None and m.http_status >= 300
    return refused or (m.sent_ns is None and m.status != "cancelled")


def _seen(m: Measurement) -> tuple[int, int]:
    """(input, output) tokens that were certainly taken, as far as counts and texts tell."""
    said = 0
    if m.out_tokens is None or m.status not in ANSWERED:
        said = tokens_in((m.answer or "") + (m.reasoning or ""))
    return m.in_tokens or 0, max(m.out_tokens or 0, said)
