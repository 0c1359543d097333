"""How long until matched, when some are not matched yet: Kaplan-Meier, its median and the interval of the median.

Sources: Kaplan & Meier 1958; Greenwood's variance on the log-log scale (Kalbfleisch & Prentice); the interval of the
median by Brookmeyer & Crowley 1982, Biometrics 38:29. Twenty lines here save a second of importing statsmodels, whose
`SurvfuncRight` the tests hold them to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import ArrayLike, NDArray
    from pandas import DataFrame

    Floats = NDArray[float64]


class Survival(NamedTuple):
    """The median in the unit of the durations; None = not reached (of `high`: no upper bound)."""

    median: float | None
    low: float | None
    high: float | None
    curve: DataFrame
    """One row per time of an event: `time, at_risk, events, survival, low, high`."""


def kaplan_meier(durations: ArrayLike, observed: ArrayLike, confidence: float = 0.9) -> Survival:
    """Median time to the event: the first time with S <= 0.5. Durations must be >= 0; `observed` False = censored.

    Somebody censored at the time of an event was still at risk then. The interval is where a test at this confidence
    doesn't reject that the median is there; its lower end is the first such time, its upper the next time after.
    """
    import numpy as np
    import pandas as pd

    times, at_risk, events, survival = _curve(durations, observed)
    low, high = _loglog_bounds(at_risk, events, survival, confidence)
    curve = pd.DataFrame(
        {"time": times, "at_risk": at_risk, "events": events, "survival": survival, "low": low, "high": high}
    )
    return Survival(
        median=_first(times, survival <= 0.5),
        low=_first(times, np.nan_to_num(low) <= 0.5),
        high=_first(times, np.nan_to_num(high) < 0.5),
        curve=curve,
    )


def median(durations: Floats, observed: NDArray[bool_]) -> float:
    """The Kaplan-Meier median alone; infinity where it isn't reached."""
    import numpy as np

    times, _, _, survival = _curve(durations, observed)
    below = np.flatnonzero(survival <= 0.5)
    return float(times[below[0]]) if len(below) else np.inf


def _curve(durations: ArrayLike, observed: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    import numpy as np

    time, event = np.asarray(durations, dtype=float), np.asarray(observed, dtype=bool)
    if (time < 0).any() or np.isnan(time).any():
        raise ValueError("durations must be numbers >= 0")
    time_sorted = np.sort(time)
    times, events = np.unique(time[event], return_counts=True)
    at_risk = (len(time) - np.searchsorted(time_sorted, times, side="left")).astype(float)
    return times, at_risk, events.astype(float), np.cumprod(1 - events / at_risk)


def _loglog_bounds(at_risk: Floats, events: Floats, survival: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Pointwise bounds of S: S^exp(-+z*se); where S is 0 nothing can be said (NaN), as in R and statsmodels."""
    import numpy as np
    from scipy.special import ndtri

    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        reach = ndtri((1 + confidence) / 2) * np.sqrt(greenwood) / -np.log(survival)
        low, high = survival ** np.exp(reach), survival ** np.exp(-reach)
    known = survival > 0
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _first(times: Floats, reached: NDArray[bool_]) -> float | None:
    import numpy as np

    found = np.flatnonzero(reached)
    return float(times[found[0]]) if len(found) else None
