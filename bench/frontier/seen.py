"""What could be seen of both classes at one date: their models by then and their record setters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from bench.frontier import curves
from bench.frontier.classes import Class
from bench.frontier.curves import Side

if TYPE_CHECKING:
    from pandas import DataFrame

SIDES: tuple[Class, ...] = ("closed", "open")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Both sides up to a day, and their record setters."""

    day: int
    closed: Side
    opened: Side
    closed_records: Side
    open_records: Side

    @property
    def both(self) -> bool:
        """Whether there is a gap at all: a model in each class."""
        return len(self.closed) > 0 and len(self.opened) > 0

    @property
    def sides(self) -> dict[str, Side]:
        return {"closed": self.closed, "open": self.opened}


def seen(rows: DataFrame, as_of: date | None) -> Seen:
    """Both classes as of a date; None = with everything there is."""
    closed, opened = curves.side(rows, "closed", as_of), curves.side(rows, "open", as_of)
    last = max((int(side.day.max()) for side in (closed, opened) if len(side)), default=0)
    return Seen(
        day=curves.day_of(as_of) if as_of else last,
        closed=closed,
        opened=opened,
        closed_records=curves.steps(closed),
        open_records=curves.steps(opened),
    )


def usual_date(rows: DataFrame) -> date | None:
    """As of when a gap is told unless asked: `last_of_both`; where one class ended before the other began, that."""
    both = last_of_both(rows)
    if both is None:
        return None
    first = max(curves.side(rows, cls).day.min() for cls in SIDES)
    return max(both, curves.date_of(int(first)))


def last_of_both(rows: DataFrame, until: date | None = None) -> date | None:
    """The last date, up to `until`, on which both classes still got new models; None while one has none."""
    sides = [curves.side(rows, cls, until) for cls in SIDES]
    return curves.date_of(int(min(side.day.max() for side in sides))) if all(len(side) for side in sides) else None
