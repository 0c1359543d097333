"""When requests are due: every form that can be typed, and schedules against the laws they claim to follow."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.errors import ConfigError
from bench.load.arrivals import MOST_STREAMS, Arrivals, Ladder, parse, schedule_ns
from bench.load.traces import Trace

SEED = (7, 0)


def closed(*levels: int) -> tuple[Arrivals, ...]:
    return tuple(Arrivals(kind="closed", concurrency=n) for n in levels)


def poisson(*levels: float) -> tuple[Arrivals, ...]:
    return tuple(Arrivals(kind="poisson", rate_rps=rate) for rate in levels)


def gaps_s(text: str, seconds: float, seed: tuple[int, int] = SEED) -> np.ndarray:
    """Between one request and the next, the first from the start of the step."""
    return np.diff(schedule_ns(parse(text).steps[0], seconds, seed), prepend=0) / 1e9


@pytest.mark.parametrize(
    ("text", "ladder"),
    [
        ("closed", Ladder(steps=closed(1), climbs=True, named=False)),
        ("closed:", Ladder(steps=closed(1), climbs=True, named=False)),
        ("closed:8", Ladder(steps=closed(8))),
        (" closed: 8 ", Ladder(steps=closed(8))),
        ("closed:1, 4,16", Ladder(steps=closed(1, 4, 16))),
        ("closed:4,8,...", Ladder(steps=closed(4, 8), climbs=True)),
        ("closed:4,8,…", Ladder(steps=closed(4, 8), climbs=True)),
        ("closed:...", Ladder(steps=closed(1), climbs=True, named=False)),
        ("closed:1..64", Ladder(steps=closed(1), climbs=True, last=64)),
        (f"closed:{MOST_STREAMS}", Ladder(steps=closed(MOST_STREAMS))),
        ("poisson", Ladder(steps=poisson(1.0), climbs=True, named=False)),
        ("poisson:2.5", Ladder(steps=poisson(2.5))),
        ("poisson:0.5..4", Ladder(steps=poisson(0.5), climbs=True, last=4)),
        ("poisson:2,...", Ladder(steps=poisson(2), climbs=True)),
        ("constant:5,10", Ladder(steps=tuple(Arrivals(kind="constant", rate_rps=r) for r in (5, 10)))),
        ("gamma:4,2", Ladder(steps=(Arrivals(kind="gamma", rate_rps=4, cv=2),))),
        ("gamma:4, 0.5", Ladder(steps=(Arrivals(kind="gamma", rate_rps=4, cv=0.5),))),
    ],
)
def test_every_form_says_its_steps_and_whether_it_climbs(text: str, ladder: Ladder) -> None:
    assert parse(text) == ladder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "poisson:R"),
        ("clsed:4", "did you mean 'closed'"),
        ("8", "closed:N"),
        ("closed:0", "'0' is not a positive number"),
        ("closed:-3", "'-3' is not a positive number"),
        ("closed:two", "'two' is not a positive number"),
        ("closed:1.5", "1.5 requests under way is no whole number"),
        ("closed:nan", "'nan'"),
        ("closed:60001", "at most 60,000 streams"),
        ("closed:1..60001", "at most 60,000 streams"),
        ("closed:64..1", "write the lower end first"),
        ("closed:8..8", "write the lower end first"),
        ("closed:1..", "'' is not a positive number"),
        ("closed:..8", "'' is not a positive number"),
        ("closed:4,...,8", "'...' is not a positive number"),
        ("poisson:inf", "'inf'"),
        ("poisson:1e400", "'1e400'"),
        ("poisson:1..inf", "'inf'"),
        ("constant:5rps", "'5rps'"),
        ("gamma", "like gamma:4,2"),
        ("gamma:4", "like gamma:4,2"),
        ("gamma:4,", "''"),
        ("gamma:4,0", "'0' is not a positive number"),
        ("gamma:4,2,1", "'2,1' is not a positive number"),
        ("gamma:1..4,2", "'1..4'"),
        ("trace", "trace:FILE"),
    ],
)
def test_a_bad_form_is_one_line_with_the_option_the_value_and_the_way_out(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text)
    assert str(told.value).startswith(f"--arrivals {text}: ")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12), st.sampled_from(["closed", "gamma", "poisson"])
)
def test_whatever_is_typed_is_a_ladder_or_a_config_error(rest: str, kind: str) -> None:
    try:
        ladder = parse(f"{kind}:{rest}")
    except ConfigError as told:
        assert "\n" not in str(told)  # noqa: PT017
    else:
        assert all(step.kind == kind and step.level > 0 for step in ladder.steps)


@given(
    st.sampled_from(["closed:{}", "constant:{}", "poisson:{}", "gamma:{},2.5"]),
    st.integers(1, 9999),
)
def test_arrivals_print_as_they_are_typed(form: str, level: int) -> None:
    (step,) = parse(form.format(level)).steps
    assert str(step) == form.format(level)
    assert (step.level, step.is_open) == (level, not form.startswith("closed"))


def test_another_level_keeps_kind_and_burstiness_and_closed_ones_are_whole() -> None:
    assert parse("gamma:4,2").steps[0].at(8.00004) == parse("gamma:8,2").steps[0]
    assert closed(4)[0].at(11.3) == closed(11)[0]
    assert closed(4)[0].at(0.2) == closed(1)[0]


def test_a_trace_is_due_when_it_was_and_at_its_own_mean_rate() -> None:
    trace = Trace(name="day.csv", due_ns=(0, 500_000_000, 4_000_000_000), lengths=())
    (step,) = parse("trace:some/day.csv", trace).steps
    assert (str(step), step.rate_rps, step.is_open) == ("trace:day.csv", 0.5, True)
    assert schedule_ns(step, 60, SEED, trace) == [0, 500_000_000, 4_000_000_000]
    assert schedule_ns(step, 4, SEED, trace) == [0, 500_000_000]


# ── schedules ─────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["constant:{}", "poisson:{}", "gamma:{},3", "gamma:{},0.3"]),
    rate=st.floats(0.01, 200),
    seconds=st.floats(0.1, 20),
    seed=st.tuples(st.integers(0, 2**40), st.integers(0, 50)),
)
def test_a_schedule_rises_lies_within_the_step_and_is_one_for_one_seed(
    kind: str, rate: float, seconds: float, seed: tuple[int, int]
) -> None:
    arrivals = parse(kind.format(rate)).steps[0]
    due = schedule_ns(arrivals, seconds, seed)
    assert due == schedule_ns(arrivals, seconds, seed)
    assert due == sorted(due)
    assert all(0 <= at < seconds * 1e9 for at in due)
    assert all(type(at) is int for at in due[:3]), "they go into JSON"


@pytest.mark.parametrize("text", ["poisson:20", "gamma:20,2"])
def test_another_seed_or_another_step_is_another_schedule(text: str) -> None:
    drawn = [schedule_ns(parse(text).steps[0], 10, seed) for seed in ((1, 0), (1, 1), (2, 0), (0, 1))]
    assert all(one[:5] != other[:5] for one, other in itertools.combinations(drawn, 2))


@pytest.mark.parametrize(("rate", "seconds", "n"), [(4, 10.1, 40), (3, 100.1, 300), (1000, 20.0005, 20_000)])
def test_constant_arrivals_have_the_same_gap_to_the_nanosecond(rate: int, seconds: float, n: int) -> None:
    gaps_ns = np.rint(gaps_s(f"constant:{rate}", seconds) * 1e9)
    assert len(gaps_ns) == n
    assert np.abs(gaps_ns - 1e9 / rate).max() <= 1
    assert abs(gaps_ns.sum() - n * 1e9 / rate) <= 1, "the error of one gap does not add up"


def test_as_many_constant_arrivals_come_in_a_second_as_fit_whatever_the_rate() -> None:
    off = {rate for rate in range(2, 101) if len(schedule_ns(parse(f"constant:{rate}").steps[0], 1, SEED)) != rate - 1}
    assert off == set()


def test_poisson_gaps_are_exponential() -> None:
    gaps = gaps_s("poisson:50", 200)
    assert len(gaps) == pytest.approx(10_000, abs=4 * 100)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.01
    assert stats.kstest(gaps, "expon", args=(0, 1 / 54)).pvalue < 1e-6, "the test would see 8%"
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("cv", [0.5, 2.0, 4.0])
def test_gamma_gaps_have_the_rate_and_the_burstiness_asked(cv: float) -> None:
    gaps = gaps_s(f"gamma:50,{cv}", 400)
    law = stats.gamma(1 / cv**2, scale=cv**2 / 50)
    assert law.std() / law.mean() == pytest.approx(cv), "the law has the coefficient of variation asked"
    least_s = 1e-6  # stamps are whole nanoseconds, and the law has much of its mass near 0
    ranks = (law.cdf(gaps[gaps > least_s]) - law.cdf(least_s)) / law.sf(least_s)
    assert stats.kstest(ranks, "uniform").pvalue > 0.01
    assert stats.binomtest(int((gaps > least_s).sum()), len(gaps), law.sf(least_s)).pvalue > 0.01
    assert stats.kstest(gaps, "expon", args=(0, 1 / 50)).pvalue < 1e-6, "and is no Poisson process"
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.1)
    assert len(gaps) / 400 == pytest.approx(50, rel=5 * cv / np.sqrt(20_000))


@pytest.mark.parametrize("text", ["poisson:10", "gamma:10,0.5", "gamma:10,3"])
def test_over_many_seeds_as_many_come_late_in_a_step_as_early_and_as_many_as_asked(text: str) -> None:
    """No stretch of the schedule is thinner than the others, the end (drawn in a second batch) included."""
    arrivals = parse(text).steps[0]
    due = np.concatenate([schedule_ns(arrivals, 20, (seed, 3)) for seed in range(400)]) / 1e9
    by_stretch, _ = np.histogram(due, bins=4, range=(0, 20))
    cv = arrivals.cv if arrivals.kind == "gamma" else 1.0
    expected = 400 * 10 * 5
    # A renewal process that starts with a whole gap is off by (cv² - 1) / 2 events at first, and right later.
    assert by_stretch[1:] == pytest.approx(expected, abs=5 * cv * np.sqrt(expected))
    assert by_stretch[0] == pytest.approx(expected + 400 * (cv**2 - 1) / 2, abs=5 * cv * np.sqrt(expected))


def test_a_rate_so_low_that_nothing_comes_is_an_empty_schedule() -> None:
    assert schedule_ns(parse("poisson:0.0001").steps[0], 2, SEED) == []


def test_more_requests_than_can_be_held_are_refused_with_the_way_out() -> None:
    with pytest.raises(
        ConfigError, match=r"poisson:1e\+09 for 60 s is over 20,000,000 requests; ask for a shorter step"
    ):
        schedule_ns(parse("poisson:1e9").steps[0], 60, SEED)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block once it took so long."""

    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_absurd_burstiness_is_refused_or_drawn_but_not_drawn_for_ever() -> None:
    with at_most(1.0):
        try:
            schedule_ns(parse("gamma:4,1e6").steps[0], 60, SEED)
        except ConfigError as told:
            assert "gamma:4,1e" in str(told)  # noqa: PT017


def test_a_vanishing_burstiness_is_refused_or_constant() -> None:
    try:
        due = schedule_ns(parse("gamma:4,1e-200").steps[0], 2.1, SEED)
    except ConfigError:
        return
    assert due == pytest.approx([n * 250_000_000 for n in range(1, 9)], abs=2)
