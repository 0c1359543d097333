"""What a portfolio of tasks would do if prices, providers or speeds changed, and who it hangs on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.analysis.asked import Asked, tasks_of
from bench.analysis.evidence import evidence, must_be_known
from bench.analysis.measured import report
from bench.catalog.use_case import LAYERS, UNASKED, Quality, UseCase, UseTask
from bench.choice.portfolio import Change, Holding, Move, judged_by, move
from bench.choice.spending import Gone, Spend, captive_share, spend, stress
from bench.choice.verdict import Known, known, verdicts
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas

DEFAULT_MARGIN = 0.02
DEFAULT_PER_MONTH = 1_000
"""Of each task, where no use case says how many there are: shares and moves don't hang on it, dollars do."""
MOVE_COLUMNS = (
    "task", "tasks_per_month", "what", "from", "from_provider", "to", "to_provider", "to_open",
    "usd_month_before", "usd_month_after", "usd_month_difference",
    "quality_difference", "quality_low", "quality_high", "certainty", "ttft_ms_p95_difference", "nearest",
)  # fmt: skip
SPEND_COLUMNS = ("provider", "when", "usd_month", "share")


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A change, and what becomes of a portfolio."""

    change: Change
    moves: tuple[Move, ...]
    before: Spend
    after: Spend
    captive_share: float | None
    """Of today's dollars: spent on tasks for which nothing at another provider is sure to suffice."""
    stress: tuple[Gone, ...]
    measured: str
    """The days of the runs behind it."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        change = {
            "price": dict(self.change.price),
            "latency": dict(self.change.latency),
            "gone": sorted(self.change.gone),
        }
        return {
            "change": change,
            "moves": [one.as_dict() for one in self.moves],
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "captive_share": self.captive_share,
            "stress": [one.as_dict() for one in self.stress],
            "measured": self.measured,
            "notes": list(self.notes),
        }


def whatif(
    results: Path,
    use_cases: Sequence[UseCase] = (),
    *,
    price: Mapping[str, float] | None = None,
    latency: Mapping[str, float] | None = None,
    drop: Iterable[str] = (),
    quality_margin: float | None = None,
    certainty: float | None = None,
) -> WhatIf:
    """What each task would move to under the change, what that costs and loses, and how concentrated spending is.

    The portfolio is the use cases; without any, every task of the newest runs with the target that is best at it, where
    another suffices if it is sure to be no more than `quality_margin` below.
    """
    change = Change(price=dict(price or {}), latency=dict(latency or {}), gone=frozenset(drop))
    margin = DEFAULT_MARGIN if quality_margin is None else quality_margin
    if use_cases:
        seen: dict[str, Known] = {}
        holdings = [_held(results, one, quality_margin, certainty, seen) for one in use_cases]
    else:
        holdings = _newest_tasks(results, margin, certainty or 0.9)
    if not holdings:
        raise ConfigError(f"nothing was measured in {results} yet; run: bench run SUITE -t TARGET")
    _check_names(change, holdings)
    moves = tuple(move(holding, change) for holding in holdings)
    return WhatIf(
        change=change,
        moves=moves,
        before=spend(moves, after=False),
        after=spend(moves, after=True),
        captive_share=captive_share(holdings),
        stress=tuple(stress(holdings)),
        measured=_days(holdings),
        notes=tuple(_notes(use_cases, change, holdings)),
    )


def moves(found: WhatIf) -> pandas.DataFrame:
    """One row per task of the portfolio; MOVE_COLUMNS."""
    import pandas as pd

    return pd.DataFrame([one.as_dict() for one in found.moves], columns=list(MOVE_COLUMNS))


def spending(found: WhatIf) -> pandas.DataFrame:
    """One row per provider, before and after; SPEND_COLUMNS. `attrs`: `hhi_before`, `hhi_after`, `change`, `says`."""
    import pandas as pd

    names = dict.fromkeys((*found.before.usd, *found.after.usd))
    rows = [
        (name, when, side.usd.get(name, 0.0), side.share(name))
        for name in names
        for when, side in (("before", found.before), ("after", found.after))
    ]
    frame = pd.DataFrame(rows, columns=list(SPEND_COLUMNS))
    n, unknown = len(found.moves), found.before.n_unknown
    says = f"{n} task{'s' * (n != 1)}, measured here" + (f"; {unknown} without a known price" if unknown else "")
    hhi = {"hhi_before": found.before.hhi(), "hhi_after": found.after.hhi()}
    frame.attrs.update(**hhi, change=found.change.told(), says=f"{says}, {found.measured}.")
    return frame


def _held(
    results: Path, use_case: UseCase, margin: float | None, certainty: float | None, seen: dict[str, Known]
) -> Holding:
    """A use case with what it uses today: as it says, else the cheapest that suffices, else the nearest to it.

    `seen`: what is known for the tasks of earlier ones; use cases of the same tasks are drawn once.
    """
    sure = certainty or use_case.certainty
    asked = tasks_of(results, use_case)
    if repr(asked) not in seen:
        seen[repr(asked)] = known(evidence(results, asked))
    drawn = seen[repr(asked)]
    found = drawn.evidence
    for where, name in (("current", use_case.current), ("quality.of", use_case.quality.of)):
        if name is not None:
            must_be_known(name, found, where)
    judged = verdicts(drawn, use_case, sure)
    if not judged and use_case.current is None:
        raise ConfigError(
            f"use case {use_case.name!r}: no target that may be used was measured on its tasks; "
            "measure some: bench run SUITE -t TARGET"
        )
    current = next(
        (one for one in found.candidates if one.target == use_case.current),
        judged[0].candidate if judged else found.candidates[0],
    )
    wished = use_case
    if margin is not None:
        wished = use_case.model_copy(update={"quality": Quality(within=margin, of=current.target)})
    return Holding(
        name=use_case.name,
        per_month=use_case.tasks_per_month or DEFAULT_PER_MONTH,
        known=drawn,
        current=current,
        certainty=sure,
        judge=judged_by(wished, drawn, sure),
    )


def _newest_tasks(results: Path, margin: float, certainty: float) -> list[Holding]:
    """Every task of the newest version of each suite that was run, with the target that is best at it."""
    shown = report(results) if (Path(results) / database.NAME).exists() else None
    if shown is None or shown.empty:
        return []
    shown = shown[shown["task"] != "macro"]
    own = shown["layer"] != UNASKED
    shown = shown[own] if own.any() else shown
    layers = tuple(layer for layer in LAYERS if layer in set(shown["layer"]))
    pairs = list(dict.fromkeys(zip(shown["suite"], shown["task"], strict=True)))
    return [_task_held(results, str(suite), str(task), layers, margin, certainty) for suite, task in pairs]


def _task_held(
    results: Path, suite: str, task: str, layers: tuple[Any, ...], margin: float, certainty: float
) -> Holding:
    name = f"{suite}/{task}"
    found = known(evidence(results, Asked(own={(suite, task): 1.0}, versions={}, benchmarks={})))
    allowed = [one for one in found.evidence.candidates if one.layer in layers]
    current = max(allowed, key=lambda one: (found.means[one.target].quality or 0.0, one.target))
    wish = UseCase(
        name=name, tasks=(UseTask(name=name),), quality=Quality(within=margin, of=current.target), layers=layers
    )
    return Holding(
        name=name,
        per_month=DEFAULT_PER_MONTH,
        known=found,
        current=current,
        certainty=certainty,
        judge=judged_by(wish, found, certainty),
    )


def _days(holdings: Sequence[Holding]) -> str:
    days = sorted({one.measured for h in holdings for one in h.known.evidence.candidates if one.measured})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "on an unknown day"


def _check_names(change: Change, holdings: Sequence[Holding]) -> None:
    from bench.catalog import load

    measured = {one.provider for holding in holdings for one in holding.known.evidence.candidates}
    for name in sorted(change.touches()):
        if name not in measured | set(load().providers):
            raise ConfigError(f"provider {name!r} is unknown{nearest(name, measured | set(load().providers))}")


def _notes(use_cases: Sequence[UseCase], change: Change, holdings: Sequence[Holding]) -> Iterable[str]:
    measured = {one.provider for holding in holdings for one in holding.known.evidence.candidates}
    for name in sorted(change.touches() - measured):
        yield f"nothing was measured at {name}: the change touches no task"
    if not use_cases:
        yield (
            f"no use case was given: each measured task counts {DEFAULT_PER_MONTH:,} times a month, at the target that "
            "is best at it"
        )
    elif any(one.tasks_per_month is None for one in use_cases):
        yield f"where tasks_per_month is not given, {DEFAULT_PER_MONTH:,} are counted"
    yield "quality differences are paired on the items that both were asked; latencies are of quality traffic"
