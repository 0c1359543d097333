"""What a run's attempts cost, by session and task: the journal read again with the arithmetic of `bench.budget`.

    results/runs/<run_id>/sessions.jsonl    one line per session that asked something, appended before it asks

Totals are exactly what `--max-usd` and `--token-budget` count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bench import runs
from bench.budget import Basis, Book, Entry, asked_before
from bench.errors import ConfigError
from bench.price import Tariff, in_text
from bench.records import ANSWERED, Measurement
from bench.runs import journal
from bench.runs.folder import read_price_rows

FILE = "sessions.jsonl"
COLUMNS = (
    "session", "task", "attempts", "ok", "tokens in", "cached", "tokens out",
    "$ provider", "$ usage", "$ reserved", "free", "$ retried", "$",
)  # fmt: skip
SESSION_COLUMNS = (
    "session", "started", "allowance $", "spent $", "so far $", "left $",
    "token budget", "tokens", "so far", "left", "estimate $ (p90)",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of the program that asked something of a run."""

    started_at: str
    first_attempt: int
    """How many attempts the journal held before it."""
    max_usd: Decimal | None = None
    """Of the whole command; None = no limit."""
    max_tokens: int | None = None
    elsewhere_usd: Decimal = Decimal(0)
    """What the command's other runs had taken of it when this one began."""
    elsewhere_tokens: int = 0
    estimate: Mapping[str, Any] = field(default_factory=dict)
    """What it was expected to take before it asked: the columns of `bench.plan.Estimate`."""
    prices: tuple[Mapping[str, Any], ...] = ()
    """As in prices.json: what its attempts are counted by."""

    @property
    def allowance_usd(self) -> Decimal | None:
        """What this run may spend in all, earlier sessions included."""
        return None if self.max_usd is None else self.max_usd - self.elsewhere_usd

    @property
    def allowance_tokens(self) -> int | None:
        return None if self.max_tokens is None else self.max_tokens - self.elsewhere_tokens


@dataclass(frozen=True, kw_only=True)
class Line:
    """One attempt in the ledger."""

    session: int
    """From 1; 0 = before sessions were recorded."""
    measurement: Measurement
    entry: Entry
    retried: bool
    """Whether the same question was asked again afterwards."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every attempt of a run with its cost, in the order they ended."""

    run_id: str
    target_id: str
    sessions: tuple[Session, ...]
    lines: tuple[Line, ...]
    book: Book
    notes: tuple[str, ...]

    @property
    def usd(self) -> Decimal:
        return sum((line.entry.usd for line in self.lines), Decimal(0))

    @property
    def tokens(self) -> int:
        return sum(line.entry.tokens for line in self.lines)

    def groups(self) -> list[dict[str, Any]]:
        """One row per session and task, then the total; money is Decimal."""
        found: dict[tuple[int, str], list[Line]] = {}
        for line in self.lines:
            found.setdefault((line.session, line.measurement.task or "–"), []).append(line)
        rows = [{"session": session, "task": task, **_sums(lines)} for (session, task), lines in sorted(found.items())]
        return [*rows, {"session": None, "task": "total", **_sums(self.lines)}]

    def accounts(self) -> list[dict[str, Any]]:
        """One row per session: its allowance, what it spent, and what was left of it; money is Decimal."""
        rows = []
        usd, tokens = Decimal(0), 0
        for number in sorted({line.session for line in self.lines} | set(range(1, len(self.sessions) + 1))):
            lines = [line for line in self.lines if line.session == number]
            spent = sum((line.entry.usd for line in lines), Decimal(0))
            taken = sum(line.entry.tokens for line in lines)
            usd, tokens = usd + spent, tokens + taken
            session = self.sessions[number - 1] if number else None
            allowed = session.allowance_usd if session else None
            allowed_tokens = session.allowance_tokens if session else None
            rows.append(
                {
                    "session": number,
                    "started_at": session.started_at if session else None,
                    "max_usd": session.max_usd if session else None,
                    "elsewhere_usd": session.elsewhere_usd if session else None,
                    "allowance_usd": allowed,
                    "spent_usd": spent,
                    "spent_so_far_usd": usd,
                    "left_usd": None if allowed is None else allowed - usd,
                    "token_budget": session.max_tokens if session else None,
                    "elsewhere_tokens": session.elsewhere_tokens if session else None,
                    "allowance_tokens": allowed_tokens,
                    "tokens": taken,
                    "tokens_so_far": tokens,
                    "left_tokens": None if allowed_tokens is None else allowed_tokens - tokens,
                    "estimate": dict(session.estimate) if session else {},
                    "price_ids": [row.get("id") for row in session.prices] if session else [],
                }
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; money is text, exact to the last digit."""
        found: dict[str, Any] = in_text(
            {
                "run_id": self.run_id,
                "target": self.target_id,
                "usd": self.usd,
                "tokens": self.tokens,
                "sessions": self.accounts(),
                "rows": self.groups()[:-1],
                "total": self.groups()[-1],
                "notes": list(self.notes),
            }
        )
        return found

    def table(self) -> list[list[object]]:
        """Rows under COLUMNS."""
        return [
            [
                row["session"] if row["session"] is not None else "", row["task"], row["attempts"], row["ok"],
                row["in_tokens"], row["in_cached_tokens"], row["out_tokens"],
                *(_money(row[name]) for name in ("usd_provider", "usd_usage", "usd_reserved")),
                row["n_free"], _money(row["usd_retried"]), _money(row["usd"]),
            ]
            for row in self.groups()
        ]  # fmt: skip

    def session_table(self) -> list[list[object]]:
        """Rows under SESSION_COLUMNS."""
        return [
            [
                row["session"], (row["started_at"] or "–")[:19].replace("T", " "),
                *(_money(row[name]) for name in ("allowance_usd", "spent_usd", "spent_so_far_usd", "left_usd")),
                row["allowance_tokens"], row["tokens"], row["tokens_so_far"], row["left_tokens"],
                _estimated(row["estimate"]),
            ]
            for row in self.accounts()
        ]  # fmt: skip


def read(path: Path, caps: Mapping[str, int] | None = None) -> Ledger:
    """The ledger of a run folder; announced attempts without an outcome count at their reservation.

    `caps` are token caps by task, for journals whose rows don't say them; without, the suite's own where it is found.
    RunError where the folder is damaged.
    """
    header = runs.read_header(path)
    sessions = _sessions(path)
    attempts = list(runs.measurements(runs.read_requests(path)[0]))
    attempts += _lost(path, str(header.target["id"]), {m.request_id for m in attempts})
    known = caps if caps is not None else _caps(header)
    before = Tariff.from_rows(read_price_rows(path)[:1])
    tariffs = [Tariff.from_rows(session.prices) for session in sessions]
    last = {m.request_key: i for i, m in enumerate(attempts)}
    book, lines = Book(), []
    for i, m in enumerate(attempts):
        number = max((n for n, session in enumerate(sessions, 1) if session.first_attempt <= i), default=0)
        entry = book.enter(m, asked_before(m, known.get(m.task or "", 0)), tariffs[number - 1] if number else before)
        lines.append(Line(session=number, measurement=m, entry=entry, retried=last[m.request_key] != i))
    notes = tuple(_notes(lines, tariffs, before))
    target_id = str(header.target["id"])
    return Ledger(
        run_id=header.run_id, target_id=target_id, sessions=sessions, lines=tuple(lines), book=book, notes=notes
    )


def find(results: Path, run_id: str) -> Path:
    """The folder of a run, by its name or a beginning of it that only one run has; ConfigError otherwise."""
    names = [path.name for path in runs.folders(results)]
    found = [name for name in names if name == run_id] or [name for name in names if name.startswith(run_id)]
    if len(found) != 1:
        from bench.errors import nearest

        told = f"{len(found)} runs begin so" if found else f"no such run in {results}/runs"
        raise ConfigError(f"{run_id}: {told}{nearest(run_id, found or names)}")
    return results / "runs" / found[0]


def record(path: Path, session: Session) -> None:
    """Append a session to its run folder; on the disk when this returns."""
    journal.mend(path / FILE)
    row = {
        "started_at": session.started_at,
        "first_attempt": session.first_attempt,
        "max_usd": _text(session.max_usd),
        "max_tokens": session.max_tokens,
        "elsewhere_usd": _text(session.elsewhere_usd),
        "elsewhere_tokens": session.elsewhere_tokens,
        "estimate": dict(session.estimate),
        "prices": [dict(price) for price in session.prices],
    }
    file = journal.Journal(path / FILE, durable=False)
    try:
        file.append(row)
    finally:
        file.close()
    journal.sync_folder(path)


def now() -> str:
    """UTC wall time as rows carry it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _sessions(path: Path) -> tuple[Session, ...]:
    """What another version added is left alone; a field of another kind is as good as none."""
    return tuple(_session(row) for row in journal.read(path / FILE)[0])


def _session(row: Mapping[str, Any]) -> Session:
    prices = row.get("prices")
    estimate = row.get("estimate")
    return Session(
        started_at=str(row.get("started_at") or ""),
        first_attempt=_count(row.get("first_attempt")) or 0,
        max_usd=_amount(row.get("max_usd")),
        max_tokens=_count(row.get("max_tokens")),
        elsewhere_usd=_amount(row.get("elsewhere_usd")) or Decimal(0),
        elsewhere_tokens=_count(row.get("elsewhere_tokens")) or 0,
        estimate=estimate if isinstance(estimate, dict) else {},
        prices=tuple(price for price in prices if isinstance(price, dict)) if isinstance(prices, list) else (),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int else None


def _amount(value: object) -> Decimal | None:
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None


def _lost(path: Path, target_id: str, ended: set[str]) -> Iterator[Measurement]:
    """Announced attempts without a row: under way now, or lost with the process that sent them."""
    for row in journal.read(path / "announced.jsonl")[0]:
        kept = {name: row[name] for name, kind in runs.ANNOUNCED.items() if type(row.get(name)) is kind}
        if not kept.get("request_id") or not kept.get("request_key") or kept["request_id"] in ended:
            continue
        yield Measurement(**{"kind": "quality", "started_at": "", **kept}, target_id=target_id, status="cancelled")


def _caps(header: runs.Header) -> dict[str, int]:
    from bench.catalog import suite

    try:
        found = suite(header.suite)
    except ConfigError:
        return {}
    options = header.target.get("options")
    options = options if isinstance(options, dict) else {}
    own, thinking = options.get("max_tokens"), options.get("reasoning_budget") or 0
    return {task.name: min(task.max_gen_toks, own or task.max_gen_toks) + thinking for task in found.tasks}


def _sums(lines: list[Line] | tuple[Line, ...]) -> dict[str, Any]:
    def usd(*bases: Basis) -> Decimal:
        return sum((line.entry.usd for line in lines if line.entry.basis in bases), Decimal(0))

    rows = [line.measurement for line in lines]
    return {
        "attempts": len(rows),
        "ok": sum(m.status in ANSWERED for m in rows),
        "in_tokens": sum(m.in_tokens or 0 for m in rows),
        "in_cached_tokens": sum(m.in_cached_tokens or 0 for m in rows),
        "out_tokens": sum(m.out_tokens or 0 for m in rows),
        "tokens_counted": sum(line.entry.tokens for line in lines),
        "usd_provider": usd("provider"),
        "usd_usage": usd("usage"),
        "usd_reserved": usd("reserved", "unpriced"),
        "n_reserved": sum(line.entry.basis == "reserved" for line in lines),
        "n_free": sum(line.entry.basis == "free" for line in lines),
        "n_unpriced": sum(line.entry.basis == "unpriced" for line in lines),
        "usd_retried": sum((line.entry.usd for line in lines if line.retried), Decimal(0)),
        "usd": usd("provider", "usage", "reserved", "free", "unpriced"),
    }


def _notes(lines: list[Line], tariffs: list[Tariff | None], before: Tariff | None) -> Iterator[str]:
    by_usage = [line for line in lines if line.entry.basis == "usage"]
    odd: dict[str, int] = {}
    for line in by_usage:
        tariff, tier = tariffs[line.session - 1] if line.session else before, line.measurement.service_tier
        if tier is not None and tariff is not None and not tariff.knows(tier):
            odd[tier] = odd.get(tier, 0) + 1
    for tier, n in odd.items():
        yield f"{n} answers were served at tier {tier!r}, whose price is not known: counted at the standard price"
    if n := sum(line.entry.basis == "reserved" for line in lines):
        yield f"{n} attempts may have been billed and nobody said for what: counted at what was reserved"
    if n := sum(line.entry.basis == "unpriced" for line in lines):
        yield f"{n} attempts at a price nobody knows: counted at 0 $"


def _estimated(estimate: Mapping[str, Any]) -> str | None:
    median, p90 = estimate.get("usd_median"), estimate.get("usd_p90")
    return None if median is None else f"{median} ({p90})"


def _money(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:.6f}"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
