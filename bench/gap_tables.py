"""The gap as a terminal shows it: a table an analyst can use, and the lines under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from bench.frontier.answer import Forecast, Gap, Holder

COLUMNS = ("figure", "value", "interval", "what it says")
OVERVIEW_COLUMNS = (
    "benchmark", "as of", "best closed", "best open", "gap [points]", "lag now [months]", "time to match [months]",
    "horizontal [months]", "closed/open", "age [days]",
)  # fmt: skip
SENSITIVITY_COLUMNS = ("line", "what", "gap [points]", "lag [months]", "time to match [months]")
CORRECTED_COLUMNS = (
    "method", "gap [points]", "95% interval", "closed (how often chosen)", "open (how often chosen)", "closed/open",
    "items",
)  # fmt: skip
OVERVIEW_NOTE = (
    "Scores and gaps in points of the benchmark (percent, chance taken off, or its own). [90% intervals]. Time to "
    "match: Kaplan–Meier median, then how many of the closed records were matched. Horizontal: with no tolerance / "
    "within error. Age: days since both classes last got a new model there; an old benchmark says nothing of today."
)
UNKNOWN = "–"


def cells(found: Gap) -> list[tuple[str, str, str, str]]:
    """Rows of COLUMNS."""
    match, lag, near = found.time_to_match, found.lag_now, found.not_distinguishable
    sure = f"{found.confidence:.0%}"
    return [
        ("best closed", *_holder(found.closed)),
        ("best open", *_holder(found.open)),
        (
            f"gap [{_short(found.unit)}]",
            number(found.gap.points),
            interval(found.gap.low, found.gap.high),
            f"closed minus open; {sure}, median of draws {number(found.gap.median)}{_share_of_closed(found)}",
        ),
        ("gap [logit]", number(found.gap.logit, 2), "", "log-odds"),
        ("gap [months of closed progress]", number(found.gap.months), "", "gap over the closed slope of 24 months"),
        (
            "lag now [months]",
            lag_words(lag.state, lag.months),
            interval(lag.low, lag.high),
            _since(lag.matches_closed_of, lag.state),
        ),
        (
            "time to match, median [months]",
            number(match.median_months) if match.median_months is not None else "not reached",
            interval(match.low, match.high),
            f"Kaplan–Meier over {match.records} closed records, {match.unmatched} unmatched so far",
        ),
        ("mean horizontal [months]", number(found.mean_horizontal_months), "", "over the levels both have reached"),
        (
            "within error: lag now [months]",
            lag_words(near.lag_state, near.lag_months),
            "",
            f"open counts as equal when not distinguishable (z = {number(near.z, 2)})",
        ),
        (
            "within error: time to match",
            number(near.median_months) if near.median_months is not None else "not reached",
            interval(near.low, near.high),
            f"{near.unmatched} unmatched",
        ),
        ("within error: mean horizontal", number(near.mean_horizontal_months), "", ""),
        *_outlook(found.forecast),
    ]


def _share_of_closed(found: Gap) -> str:
    """Of ratings and other points, where a reader thinks in percent too."""
    if found.gap.points is None or found.closed is None or not found.closed.score or "percent" in found.unit:
        return ""
    return f"; {100 * found.gap.points / found.closed.score:.2f}% of the best closed"


def _outlook(told: Forecast) -> list[tuple[str, str, str, str]]:
    if told.state != "given":
        return [("forecast", told.state, "", told.reason or "")]
    chances = ", ".join(f"{n} m: {_share(p)}" for n, p in ((12, told.p12), (24, told.p24), (36, told.p36)))
    later = f"no crossing within ten years in {_share(told.no_crossing)} of draws"
    test = told.back_test
    rows = [("open catches up within", chances, interval(told.low_months, told.high_months), later)]
    if test is not None and test.miss_points is not None:
        words = f"said a year before: {number(test.predicted_points)}, came: {number(test.observed_points)}"
        rows.append(("forecast's miss [points]", number(test.miss_points), interval(test.low, test.high), words))
    return rows


def notes(found: Gap) -> list[str]:
    """What must be known with the figures."""
    many = found.variants
    told = [
        f"as of {found.as_of}; {found.provenance} scores of {many['closed']} closed and {many['open']} open versions "
        "(the side with more has the higher maximum)",
        found.method,
    ]
    if found.stale:
        told.insert(0, f"STALE: no news of both classes for {found.stale_days} days; a lag told today would only grow")
    return told


def overview(frame: pandas.DataFrame) -> list[list[str]]:
    """Rows of OVERVIEW_COLUMNS from `analysis.gap_table`."""
    return [
        [
            str(row["benchmark"]),
            str(row["as_of"]),
            f"{row['closed_model']} {number(row['closed_score'])}",
            f"{row['open_model']} {number(row['open_score'])}",
            _with(number(row["gap_points"]), row["gap_low"], row["gap_high"]),
            _with(lag_words(row["lag_state"], row["lag_months"]), row["lag_low"], row["lag_high"]),
            _with(number(row["match_median_months"], none="not reached"), row["match_low"], row["match_high"])
            + f"  {row['records'] - row['unmatched']}/{row['records']}",
            f"{number(row['horizontal_months'])} / {number(row['horizontal_months_indistinct'])}",
            f"{row['n_closed']}/{row['n_open']}",
            number(row["stale_days"], 0),
        ]
        for row in frame.to_dict("records")
    ]


def sensitivity(frame: pandas.DataFrame) -> list[list[str]]:
    """Rows of SENSITIVITY_COLUMNS; choices of one kind that change nothing stand in one row."""
    rows = [
        [
            str(row["line"]),
            str(row["what"]),
            number(row["gap_points"]),
            lag_words(row["lag_state"], row["lag_months"]),
            number(row["ttm_months"], none="not reached"),
        ]
        for row in frame.to_dict("records")
    ]
    moved = [row for row in rows[1:] if row[2:] != rows[0][2:]]
    still: dict[str, list[str]] = {}
    for line, what, *figures in rows[1:]:
        if figures == rows[0][2:]:
            still.setdefault(line, []).append(what)
    unmoved = [[line, f"{', '.join(names)}: no change", *rows[0][2:]] for line, names in still.items()]
    return [*rows[:1], *sorted(moved + unmoved, key=lambda row: [r[0] for r in rows].index(row[0]))]


def corrected(frame: pandas.DataFrame) -> list[list[str]]:
    """Rows of CORRECTED_COLUMNS from `analysis.own_frontier_gap`, in percentage points."""
    return [
        [
            str(row["method"]),
            number(100 * row["gap"]),
            interval(100 * row["ci_low"], 100 * row["ci_high"]),
            f"{row['closed']} ({row['closed_share']:.0%})",
            f"{row['open']} ({row['open_share']:.0%})",
            f"{row['n_closed']}/{row['n_open']}",
            str(row["n_items"]),
        ]
        for row in frame.to_dict("records")
    ]


def number(value: Any, digits: int = 1, none: str = UNKNOWN) -> str:
    """One decimal, – where nothing is known."""
    return none if value is None or value != value else f"{value:.{digits}f}"


def interval(low: Any, high: Any) -> str:
    """`[low, high]`, an unknown end as …; nothing where both are."""
    ends = [number(end, none="…") for end in (low, high)]
    return "" if ends == ["…", "…"] else f"[{ends[0]}, {ends[1]}]"


def lag_words(state: str, months: Any) -> str:
    """A lag with its state: `≥ 5.0`, `open leads`, `undefined`."""
    return {"value": number(months), ">=": f"≥ {number(months)}"}.get(state, state)


def _with(value: str, low: Any, high: Any) -> str:
    return " ".join(filter(None, (value, interval(low, high))))


def _holder(held: Holder | None) -> tuple[str, str, str]:
    if held is None:
        return UNKNOWN, "", "no dated score"
    error = "" if held.stderr is None else f"± {number(held.stderr)}"
    return number(held.score), error, f"{held.model} ({held.vendor or 'vendor unknown'}), {held.released}"


def _since(day: object, state: str) -> str:
    if day is None:
        return ""
    return f"the best open model equals the closed models of {day}" + (" or earlier" if state == ">=" else "")


def _short(unit: str) -> str:
    return unit.replace("chance-corrected percentage points", "% points over chance")


def _share(p: float | None) -> str:
    return UNKNOWN if p is None else f"{p:.0%}"
