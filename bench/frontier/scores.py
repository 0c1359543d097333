"""One comparable score per model version: chance-corrected, with its standard error, by a rule that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from bench.errors import ConfigError, nearest
from bench.frontier.classes import classed

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

    Floats = NDArray[float64]

Rule = Literal["best", "mean", "latest"]
EffortRule = Literal["best", "mean", "none", "each"]

RULES = {
    "best": "the best row of a version counts",
    "mean": "the mean of a version's rows counts",
    "latest": "the row of a version that was evaluated last counts",
}
EFFORT_RULES = {
    "best": "a version counts with its best reasoning effort",
    "mean": "a version counts with the mean over its reasoning efforts",
    "none": "only answers without a declared reasoning effort count",
    "each": "every reasoning effort counts as a variant of its own",
}
FEWEST_KNOWN, NEIGHBOURS = 20, 9
UNKNOWN_ITEMS = 1000
"""How many items a benchmark is taken to have, for the clip alone, where nobody says how many it has."""


class Scale(Protocol):
    """What a frontier must know of a benchmark (`bench.catalog.benchmarks.Benchmark` is one)."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def scale(self) -> Literal["proportion", "points"]: ...
    @property
    def chance(self) -> float: ...
    @property
    def ceiling(self) -> float: ...
    @property
    def n_items(self) -> int | None: ...


def rows(
    observations: DataFrame, benchmark: Scale, *, rule: Rule = "best", effort_rule: EffortRule = "best"
) -> DataFrame:
    """What `measure` wants, from the observations of one benchmark: class, one score per version, corrected."""
    told = corrected(one_per_version(classed(observations), rule=rule, effort_rule=effort_rule), benchmark)
    told.attrs["rules"] = (RULES[rule], EFFORT_RULES[effort_rule])
    return told


def one_per_version(frame: DataFrame, *, rule: Rule = "best", effort_rule: EffortRule = "best") -> DataFrame:
    """One row per version and class; `n_rows` says how many it stands for.

    First the rows of one version at one effort become one by `rule`, then the efforts become one by `effort_rule`.
    `best` of several noisy rows is a little too high, and the more so the more rows there are: `n_rows` is shown.
    """
    _known(rule, RULES, "rule")
    _known(effort_rule, EFFORT_RULES, "effort rule")
    frame = frame[frame["score"].notna() & frame["version"].notna()]
    effort = frame["effort"] if "effort" in frame else frame["version"].map(lambda _: None)
    effort = effort.astype(object).where(effort.notna(), "none").astype(str)
    if effort_rule == "none":
        frame, effort = frame[effort == "none"], effort[effort == "none"]
    sides = [name for name in ("version", "cls") if name in frame]
    frame = frame.assign(_effort=effort, n_rows=1)
    frame = _reduced(frame, [*sides, "_effort"], rule)
    if effort_rule == "each":
        named = frame["_effort"] != "none"
        frame = frame.assign(version=frame["version"].where(~named, frame["version"] + "_" + frame["_effort"]))
    else:
        frame = _reduced(frame, sides, "mean" if effort_rule == "mean" else "best")
    return frame.drop(columns="_effort").reset_index(drop=True)


def corrected(frame: DataFrame, benchmark: Scale) -> DataFrame:
    """Adds `value`, and `stderr` in the same unit with `stderr_from` (published, binomial, unknown).

    A proportion becomes p' = (p - g)/(c - g), clipped to [eps, 1 - eps], eps = 1/(2n); points stay points.
    An unknown standard error is the binomial one where the number of items is known, else NaN.
    """
    import numpy as np

    score = frame["score"].to_numpy(dtype=float)
    stderr = frame["stderr"].to_numpy(dtype=float) if "stderr" in frame else np.full(len(frame), np.nan)
    stderr = np.where(stderr > 0, stderr, np.nan)
    if benchmark.scale == "points":
        given = np.where(np.isnan(stderr), "unknown", "published")
        return frame.assign(value=score, stderr=stderr, stderr_from=given)
    _in_unit(frame, score, benchmark)
    n_items = items(frame, benchmark)
    eps = 1 / (2 * np.where(np.isnan(n_items), UNKNOWN_ITEMS, n_items))
    inside = np.clip(score, eps, 1 - eps)
    binomial = np.sqrt(inside * (1 - inside) / n_items)
    known = np.where(np.isnan(stderr), binomial, stderr)
    origin = np.where(~np.isnan(stderr), "published", np.where(np.isnan(binomial), "unknown", "binomial"))
    span = benchmark.ceiling - benchmark.chance
    value = np.clip((score - benchmark.chance) / span, eps, 1 - eps)
    return frame.assign(value=value, stderr=known / span, stderr_from=origin)


def assuming_errors(frame: DataFrame) -> DataFrame:
    """`corrected` rows whose unknown errors are the median of the NEIGHBOURS known ones released closest in time.

    Only where at least FEWEST_KNOWN are known; errors of an index shrink with the years, hence by time. Such rows have
    `stderr_from` = assumed, and the rules that go with the figures say how many they are.
    """
    import numpy as np

    stderr = frame["stderr"].to_numpy(dtype=float)
    unknown = np.isnan(stderr)
    if not unknown.any() or (~unknown).sum() < FEWEST_KNOWN:
        return frame
    when = frame["since"].to_numpy().astype("datetime64[D]").astype(float)
    apart = np.abs(when[unknown][:, None] - when[~unknown][None, :])
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    assumed = stderr.copy()
    assumed[unknown] = np.median(stderr[~unknown][nearest], axis=1)
    told = frame.assign(stderr=assumed, stderr_from=np.where(unknown, "assumed", frame["stderr_from"]))
    told.attrs["rules"] = (
        *frame.attrs.get("rules", ()),
        f"{int(unknown.sum())} of {len(frame)} scores come without an error; theirs is assumed to be the median of the "
        f"{NEIGHBOURS} known ones released closest in time",
    )
    return told


def items(frame: DataFrame, benchmark: Scale) -> Floats:
    """Items behind each row: the row's own count, else the benchmark's, else NaN."""
    import numpy as np

    own = frame["n_items"].to_numpy(dtype=float) if "n_items" in frame else np.full(len(frame), np.nan)
    return np.where(own > 0, own, np.nan if benchmark.n_items is None else float(benchmark.n_items))


def factor(benchmark: Scale) -> float:
    """From `value` to what is shown: a proportion is told in percentage points."""
    return 100.0 if benchmark.scale == "proportion" else 1.0


def unit(benchmark: Scale) -> str:
    """The unit of every figure called `points`, in words."""
    if benchmark.scale == "points":
        return benchmark.unit or "points"
    plain = benchmark.chance == 0 and benchmark.ceiling == 1
    return "percentage points" if plain else "chance-corrected percentage points"


def correction(benchmark: Scale) -> str:
    """How a score was made comparable, in words."""
    if benchmark.scale == "points":
        return "scores in the benchmark's own points"
    n_items = f"{benchmark.n_items}" if benchmark.n_items else f"{UNKNOWN_ITEMS}, as the number of items is unknown"
    bounds = f"p' = (p - {benchmark.chance:g})/({benchmark.ceiling:g} - {benchmark.chance:g})"
    return f"{bounds}, clipped by 1/(2n) with n = {n_items}"


def _reduced(frame: DataFrame, by: list[str], rule: Rule) -> DataFrame:
    import numpy as np

    if frame.empty:
        return frame
    order = ["evaluated_on", "score"] if rule == "latest" and "evaluated_on" in frame else ["score"]
    ordered = frame.sort_values(order, ascending=False, kind="stable", na_position="last")
    groups = ordered.groupby(by, sort=False)
    chosen = ordered[~ordered.duplicated(by)].set_index(by)
    chosen["n_rows"] = groups["n_rows"].sum()
    if "since" in chosen:
        chosen["since"] = groups["since"].min()
    if rule == "mean":
        chosen["score"] = groups["score"].mean()
        if "stderr" in frame:
            chosen["stderr"] = groups["stderr"].agg(lambda s: float(np.sqrt(np.square(s.to_numpy()).sum())) / len(s))
    return chosen.reset_index()[frame.columns]


def _in_unit(frame: DataFrame, score: Floats, benchmark: Scale) -> None:
    wrong = (score < -1e-9) | (score > 1 + 1e-9)
    if wrong.any():
        first: Series = frame[wrong].iloc[0]
        raise ConfigError(
            f"{benchmark.id}: the score {first['score']:g} of {first['version']!r} is no proportion from 0 to 1; "
            f"import it with the right divisor, or declare the benchmark with scale = 'points'"
        )


def _known(word: str, known: dict[str, str], what: str) -> None:
    if word not in known:
        raise ConfigError(f"{what} {word!r} isn't known{nearest(word, known)}")
