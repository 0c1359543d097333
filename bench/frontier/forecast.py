"""When the lines through the record setters would cross: chances over two windows, a back-test, or the reason why not.

A line per class through its record setters (OLS), in points, or in logit for a proportion, once over the last 24
months and once over all records. The lines' errors are drawn from their sampling distribution (bivariate t), widened
by how alike successive residuals are. What no line knows is whether the speed will change: in simulated races the 90%
range held the truth in nine of ten where speeds are steady, in about half where they wander by 5% a month
(`tests/benchmarks/coverage.py`). So the miss of a year ago stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from bench.frontier import curves
from bench.frontier.answer import BackTest, Forecast, Line
from bench.frontier.curves import MONTH_DAYS, Side
from bench.frontier.lines import Fitted, carried, crossings, fit, scattered
from bench.frontier.scores import Scale, factor, unit

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame

    Floats = NDArray[float64]

HORIZONS = (12, 24, 36)
FEWEST_RECORDS = 5
FEWEST_RECENT = 3
"""A line needs three points to know its own error."""
STALE_DAYS = 270
LOGIT_UNDER = 0.9
SATURATED = 0.95
RECENT_MONTHS = 24.0
WINDOWS = {"last 24 months": RECENT_MONTHS, "all": float("inf")}


def forecast(
    rows: DataFrame, benchmark: Scale, as_of: date | None, seed: int = 0, *, stale_days: int | None = None
) -> Forecast:
    """P(crossing within 12, 24, 36 months of `as_of`), or why there is none."""
    closed, opened = (curves.steps(curves.side(rows, cls, as_of)) for cls in ("closed", "open"))
    if as_of is None or not len(closed) or not len(opened):
        return Forecast(state="undefined", reason="no model in one of the classes")
    lead = float(opened.value[-1] - closed.value[-1])
    if lead >= 0:
        return Forecast(state="open leads", reason=_leading(lead * factor(benchmark), benchmark))
    back_test = _back_test(rows, benchmark, as_of, seed)
    reasons = [*_refusals(closed, opened, benchmark), *_stale(stale_days), *_few_recent(closed, opened, as_of)]
    if reasons:
        return Forecast(state="refused", reason="; ".join(reasons), back_test=back_test)
    fits = _fits(closed, opened, benchmark, as_of, seed)
    if reasons := _disagreements(fits):
        lines = {name: _line(fit)[0] for name, fit in fits.items()}
        return Forecast(state="refused", reason="; ".join(reasons), back_test=back_test, windows=lines)
    same = len({tuple(fit.records.values()) for fit in fits.values()}) == 1
    note = "all records lie in the last 24 months, so the two windows are one" if same else None
    return _given(fits, back_test, note)


def _fits(closed: Side, opened: Side, benchmark: Scale, as_of: date, seed: int) -> dict[str, Fitted]:
    import numpy as np

    rng = np.random.default_rng(seed)
    return {name: fit(closed, opened, benchmark, as_of, window, rng) for name, window in WINDOWS.items()}


def _line(fit: Fitted) -> tuple[Line, Floats]:
    import numpy as np

    months, contradicted = crossings(fit.closed.draws, fit.opened.draws)
    chances = [float((months <= h).mean()) if len(months) else float("nan") for h in HORIZONS]
    line = Line(
        records=fit.records,
        closing_points_per_month=fit.closing,
        p12=chances[0],
        p24=chances[1],
        p36=chances[2],
        no_crossing=float(np.isinf(months).mean()) if len(months) else float("nan"),
        contradicted=contradicted,
    )
    return line, months


def _given(fits: Mapping[str, Fitted], back_test: BackTest, note: str | None) -> Forecast:
    import numpy as np

    told = {name: _line(fit) for name, fit in fits.items()}
    lines = {name: line for name, (line, _) in told.items()}
    months = np.sort(np.concatenate([m for _, m in told.values()]))
    weights = np.concatenate([np.full(len(m), 0.5 / len(m)) for _, m in told.values()])
    order = np.argsort(np.concatenate([m for _, m in told.values()]), kind="stable")
    reached = np.cumsum(weights[order])
    low, high = (float(months[min(int(np.searchsorted(reached, q)), len(months) - 1)]) for q in (0.05, 0.95))
    p12, p24, p36 = (float(np.mean([getattr(line, f"p{h}") for line in lines.values()])) for h in HORIZONS)
    return Forecast(
        state="given",
        p12=p12,
        p24=p24,
        p36=p36,
        low_months=low if np.isfinite(low) else None,
        high_months=high if np.isfinite(high) else None,
        no_crossing=float(np.mean([line.no_crossing for line in lines.values()])),
        windows=lines,
        back_test=back_test,
        reason=note,
    )


def _refusals(closed: Side, opened: Side, benchmark: Scale) -> list[str]:
    few = [
        f"only {len(side)} {name} record{'s' * (len(side) != 1)} (at least {FEWEST_RECORDS} are needed)"
        for name, side in (("closed", closed), ("open", opened))
        if len(side) < FEWEST_RECORDS
    ]
    top = float(max(closed.value[-1], opened.value[-1]))
    if benchmark.scale == "points" or top < LOGIT_UNDER:
        return few
    if top > SATURATED:
        return [*few, f"saturated: the frontier is at {top:.0%} of what can be had"]
    return [*few, f"nearly saturated: the frontier is at {top:.0%}, lines in logit mislead from {LOGIT_UNDER:.0%} on"]


def _stale(stale_days: int | None) -> list[str]:
    if stale_days is None or stale_days <= STALE_DAYS:
        return []
    return [f"stale: one of the classes got no new model here for {stale_days / MONTH_DAYS:.0f} months"]


def _few_recent(closed: Side, opened: Side, as_of: date) -> list[str]:
    since = curves.day_of(as_of) - RECENT_MONTHS * MONTH_DAYS
    counts = {name: int((side.day > since).sum()) for name, side in (("closed", closed), ("open", opened))}
    return [
        f"only {n} {name} records in the last 24 months (a line needs {FEWEST_RECENT})"
        for name, n in counts.items()
        if n < FEWEST_RECENT
    ]


def _disagreements(fits: Mapping[str, Fitted]) -> list[str]:
    import numpy as np

    reasons = []
    if len({bool(fit.closing > 0) for fit in fits.values()}) > 1:
        told = ", ".join(f"{name}: {'closing' if fit.closing > 0 else 'parting'}" for name, fit in fits.items())
        reasons.append(f"the windows disagree ({told})")
    crossed = [name for name, fit in fits.items() if np.median(fit.closed.draws[:, 0] - fit.opened.draws[:, 0]) <= 0]
    if crossed:
        reasons.append(f"the lines ({', '.join(crossed)}) have crossed already while the closed side still leads")
    return reasons


def _leading(lead: float, benchmark: Scale) -> str:
    where = f"{lead:.1f} {unit(benchmark)} ahead of" if lead > 0 else "level with"
    return f"the best open model is already {where} the best closed one"


def _back_test(rows: DataFrame, benchmark: Scale, as_of: date, seed: int) -> BackTest:
    """The lines over all records until 12 months before, carried to the as-of date, against the gap seen there."""
    import numpy as np

    then = curves.date_of(curves.day_of(as_of) - round(12 * MONTH_DAYS))
    closed, opened = (curves.steps(curves.side(rows, cls, then)) for cls in ("closed", "open"))
    if not len(closed) or not len(opened) or (reasons := _refusals(closed, opened, benchmark)):
        why = "; ".join(reasons) if len(closed) and len(opened) else "no model in one of the classes then"
        return BackTest(as_of=then, reason=why)
    rng = np.random.default_rng(seed)
    fitted = fit(closed, opened, benchmark, then, WINDOWS["all"], rng)
    seen = [float(curves.steps(curves.side(rows, cls, as_of)).value[-1]) for cls in ("closed", "open")]
    observed = (seen[0] - seen[1]) * factor(benchmark)
    predicted = float(carried(fitted.closed.beta[None], fitted.opened.beta[None], benchmark)[0])
    low, high = np.quantile(
        carried(scattered(fitted.closed, rng), scattered(fitted.opened, rng), benchmark), (0.05, 0.95)
    )
    return BackTest(
        as_of=then,
        predicted_points=predicted,
        low=float(low),
        high=float(high),
        observed_points=observed,
        miss_points=predicted - observed,
    )
