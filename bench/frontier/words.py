"""The gap in words that a manager can act on: what is known, what isn't, and no more digits than that."""

from __future__ import annotations

from bench.frontier.answer import BackTest, Gap, Holder, LagNow, TimeToMatch
from bench.frontier.curves import MONTH_DAYS


def paragraph(gap: Gap) -> str:
    """One paragraph, from the distance today over the time it takes to the outlook."""
    told = [
        _today(gap),
        _behind(gap.lag_now),
        _matching(gap.time_to_match),
        _indistinct(gap),
        _outlook(gap),
        _aged(gap),
    ]
    return " ".join(sentence for sentence in told if sentence)


def amount(value: float) -> str:
    """One decimal under 10, whole numbers from there."""
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"


def span(months: float) -> str:
    """A time in words: whole months, and `no time` for under two weeks."""
    whole = round(months)
    return "no time" if months < 0.5 else f"{max(whole, 1)} month{'s' * (whole > 1)}"


def _today(gap: Gap) -> str:
    if gap.closed is None or gap.open is None or gap.gap.points is None:
        missing = " or ".join(cls for cls, held in (("closed", gap.closed), ("open", gap.open)) if held is None)
        day = f", as of {gap.as_of}," if gap.as_of else ""
        return f"On {gap.name}{day} there is no dated score of any {missing} model, so no gap can be told."
    where, points = f"On {gap.name}, as of {gap.as_of},", gap.gap.points
    closed, opened = _named(gap.closed), _named(gap.open)
    if points == 0:
        return f"{where} the best open model ({opened}) is level with the best closed one ({closed}){_interval(gap)}."
    leader, other = (f"closed model ({closed})", f"open one ({opened})")
    if points < 0:
        leader, other = (f"open model ({opened})", f"closed one ({closed})")
    return f"{where} the best {leader} is {amount(abs(points))} {gap.unit} ahead of the best {other}{_interval(gap)}."


def _interval(gap: Gap) -> str:
    low, high = gap.gap.low, gap.gap.high
    if low is None or high is None:
        unknown = any(held is not None and held.stderr is None for held in (gap.closed, gap.open))
        return "; how noisy these scores are is not known" if unknown else ""
    sure = f" ({gap.confidence:.0%} interval of closed minus open: {amount(low)} to {amount(high)}"
    return f"{sure}, so which side leads is not certain)" if low < 0 < high else f"{sure})"


def _behind(lag: LagNow) -> str:
    if lag.state == "open leads":
        return "No closed model so far is better than it."
    if lag.state == "undefined" or lag.months is None:
        return ""
    equals = f"Today's best open model equals the closed models of {lag.matches_closed_of}"
    if lag.state == ">=":
        return f"{equals} or earlier: the records begin there, so it is at least {span(lag.months)} behind."
    before = f", {span(lag.months)} before" if lag.months >= 0.5 else ""
    return f"{equals}{before}{_noise(lag)}."


def _noise(lag: LagNow) -> str:
    if lag.low is None or (lag.high is not None and lag.high - lag.low < 0.5):
        return ""
    if lag.high is None:
        return f" (at least {lag.low:.0f} months, given the noise of the scores)"
    return f" (between {lag.low:.0f} and {lag.high:.0f} months, given the noise of the scores)"


def _matching(match: TimeToMatch) -> str:
    if not match.records:
        return ""
    records = f"{match.records} closed record{'s' * (match.records != 1)}"
    if match.unmatched == match.records:
        return f"No open model has reached the level of any closed record yet ({records})."
    waiting = f"{match.unmatched} of {records} still unmatched and counted as such"
    if match.median_months is None:
        return f"Open models have matched fewer than half of the closed records so far ({waiting})."
    if match.median_months < 0.5:
        return f"Half of the closed records were at a level that open models had or reached within days ({waiting})."
    low = match.low or 0.0
    between = f"at least {low:.0f}, no upper bound yet" if match.high is None else f"{low:.0f} to {match.high:.0f}"
    return (
        f"It takes an open model about {span(match.median_months)} to match a closed record "
        f"(median, interval {between}; {waiting})."
    )


def _indistinct(gap: Gap) -> str:
    within, exact = gap.not_distinguishable.median_months, gap.time_to_match.median_months
    if within is None or exact is None or abs(within - exact) < 0.5:
        return ""
    return f"Counted as matched as soon as the two can't be told apart, it takes {span(within)}."


def _outlook(gap: Gap) -> str:
    told = gap.forecast
    if told.state == "refused":
        return f"No forecast is given: {told.reason}."
    if told.state != "given" or told.p12 is None or told.p36 is None or told.no_crossing is None:
        return ""
    return (
        f"If the trends of the record setters held, the chance that open models draw level is {_chance(told.p12)} "
        f"within 12 months and {_chance(told.p36)} within 36; in {_chance(told.no_crossing)} of the draws they don't "
        f"within ten years{_missed(told.back_test)}."
    )


def _missed(test: BackTest | None) -> str:
    """How far the same lines were off when drawn a year earlier."""
    if test is None or test.predicted_points is None or test.observed_points is None:
        return ", and no such trend of a year ago can be checked against today"
    then, now = amount(test.predicted_points), amount(test.observed_points)
    return f" (a year ago the same lines foretold a gap of {then} for today; it is {now})"


def _chance(p: float) -> str:
    return "under 5%" if p < 0.05 else "over 95%" if p > 0.95 else f"about {round(p * 20) * 5}%"


def _aged(gap: Gap) -> str:
    if not gap.stale or gap.stale_days is None:
        return ""
    months = round(gap.stale_days / MONTH_DAYS)
    return (
        f"Caution: one of the two sides has had no new model here for {months} months, so today's gap may be another."
    )


def _named(held: Holder) -> str:
    vendor = f" by {held.vendor}" if held.vendor and held.vendor.lower() not in held.model.lower() else ""
    return f"{held.model}{vendor}, {amount(held.score)}"
