"""Where a step stands still: series made by hand, and simulated steps of which the truth is known."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from bench.load import window
from bench.load.rows import BIN_NS
from bench.load.window import BATCH, CLIP, Window, drift, inflight, mser

START_NS = 7_000_000_000_123
BINS_PER_S = 1_000_000_000 // BIN_NS


@dataclass
class Load:
    """Requests of one step: seconds from its start; `tokens_s` (n, k) is when each token came."""

    seconds: float
    at_s: np.ndarray
    first_s: np.ndarray
    over_s: np.ndarray
    tokens_s: np.ndarray

    def found(self, *, open_loop: bool = True) -> Window:
        n_bins = round(self.seconds * BINS_PER_S)
        bins = np.floor(self.tokens_s.ravel() * BINS_PER_S).astype(int)
        tokens = np.bincount(bins[(bins >= 0) & (bins < n_bins)], minlength=n_bins).astype(float)
        return window.find(
            start_ns=START_NS, end_ns=START_NS + n_bins * BIN_NS, tokens=tokens,
            sent_ns=START_NS + self.at_s * 1e9, over_ns=START_NS + self.over_s * 1e9,
            ttft_ns=(self.first_s - self.at_s) * 1e9, at_ns=START_NS + self.at_s * 1e9, open_loop=open_loop,
        )  # fmt: skip

    def frozen(self, begin_s: float, end_s: float) -> "Load":
        """The same with a server that did nothing in between: whatever was due then came at the end of it."""
        late = [np.where((t > begin_s) & (t < end_s), end_s, t) for t in (self.first_s, self.over_s, self.tokens_s)]
        return Load(self.seconds, self.at_s, *late)


def stationary(seed: int, seconds: float = 30, rate: float = 10, before_s: float = 20, tokens: int = 20) -> Load:
    """Poisson arrivals, log-normal TTFT and durations; full from its start, as the load began `before_s` earlier."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(-before_s, seconds, rng.poisson(rate * (seconds + before_s))))
    first = at + 0.1 * np.exp(rng.normal(0, 0.4, len(at)))
    over = first + 0.5 * np.exp(rng.normal(0, 0.5, len(at)))
    return Load(seconds, at, first, over, np.linspace(first, over, tokens, axis=1))


def cut_s(found: Window) -> float:
    assert found.start_ns is not None
    return (found.start_ns - START_NS) / 1e9


@cache
def stationary_windows() -> list[Window]:
    return [stationary(seed).found() for seed in range(300)]


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def constant(seconds: float = 20, every_s: float = 0.1) -> Load:
    """A request every 100 ms, TTFT 50 ms, 4 tokens 50 ms apart: always two or three under way."""
    at = np.arange(-10, seconds, every_s) + 0.01
    tokens = at[:, None] + np.array([0.05, 0.1, 0.15, 0.2])
    return Load(seconds, at, tokens[:, 0], tokens[:, -1] + 0.03, tokens)


def test_a_step_that_stands_still_from_its_start_is_all_window() -> None:
    found = constant().found()
    assert found == Window(start_ns=START_NS, end_ns=START_NS + 20_000_000_000, reasons=())


def test_at_most_one_stationary_step_in_twenty_is_called_unsteady() -> None:
    unsteady = [found for found in stationary_windows() if found.reasons]
    assert len(unsteady) <= 0.05 * 300 + 3 * (300 * 0.05 * 0.95) ** 0.5 / 2
    assert sum(found.rising for found in stationary_windows()) <= 9


def test_little_of_a_stationary_step_is_cut_off() -> None:
    cuts = [cut_s(found) for found in stationary_windows()]
    assert np.median(cuts) < 0.05 * 30
    assert np.quantile(cuts, 0.9) < 0.2 * 30
    assert max(cuts) <= 0.5 * 30


def test_the_window_ends_with_the_step_and_begins_at_a_bin() -> None:
    for found in stationary_windows():
        assert found.start_ns is not None
        assert (found.start_ns - START_NS) % BIN_NS == 0
        assert found.end_ns == START_NS + 30_000_000_000


@pytest.mark.parametrize("what", ["tokens", "requests under way", "ttft"])
def test_a_ramp_over_the_first_fifth_of_any_series_is_cut_off_about_where_it_ends(what: str) -> None:
    cuts = []
    for seed in range(30):
        load, rng = stationary(seed, seconds=60, rate=40), np.random.default_rng(seed)
        level = np.clip(0.2 + 0.8 * load.at_s / 12, 0.2, 1)  # of what it is from 12 s on
        if what == "tokens":  # speculation that gets going: fewer tokens for each request
            load.tokens_s = np.where(rng.random(load.tokens_s.shape) < level[:, None], load.tokens_s, -99)
        elif what == "requests under way":
            load.over_s = np.where(rng.random(len(level)) < level, load.over_s, load.first_s)
        else:
            load.first_s = load.at_s + (load.first_s - load.at_s) * (3 - 2 * level)
        cuts.append(cut_s(load.found()))
    assert 9 < np.median(cuts) < 15, cuts
    assert min(cuts) > 5, "never is most of it left in"
    assert max(cuts) <= 30


def one_by_one(seed: int, *, rate: float, service_s: float, seconds: float = 30, before_s: float = 0) -> Load:
    """A queue M/D/1: one after the other, each for `service_s`; without end when rate * service_s is over 1."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(-before_s, seconds, rng.poisson(rate * (seconds + before_s))))
    over = np.empty_like(at)
    free = -before_s
    for i, due in enumerate(at):
        free = over[i] = max(free, due) + service_s
    first = over - service_s * 0.9
    return Load(seconds, at, first, over, np.linspace(first, over, 10, axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_requests_that_pile_up_are_no_steady_state_and_rising(seed: int) -> None:
    found = one_by_one(seed, rate=20, service_s=0.06).found()
    assert found.rising
    assert any("requests under way rose by" in reason for reason in found.reasons)
    assert any("TTFT rose by" in reason for reason in found.reasons)
    assert all("\n" not in reason for reason in found.reasons)


def test_a_server_at_three_quarters_of_its_capacity_is_hardly_ever_called_rising() -> None:
    found = [one_by_one(seed, rate=15, service_s=0.05, before_s=30).found() for seed in range(100)]
    assert sum(one.rising for one in found) <= 4
    assert sum(bool(one.reasons) for one in found) <= 10


def test_requests_that_drain_are_no_steady_state_but_not_rising() -> None:
    load = stationary(1, seconds=60, rate=60)
    lasting = np.clip(2.0 - load.at_s / 40, 0.2, 3)  # answers get shorter all the time
    load.over_s = load.first_s + (load.over_s - load.first_s) * lasting * 4
    found = load.found()
    assert not found.rising
    assert any("requests under way fell by" in reason for reason in found.reasons)


def in_slots(seed: int, slots: int, seconds: float = 30, slower: float = 0.0) -> Load:
    """Closed loop: each slot sends as soon as it is answered; answers get slower by the share `slower`."""
    rng = np.random.default_rng(seed)
    at: list[float] = []
    waits: list[float] = []
    lasting: list[float] = []
    for _ in range(slots):
        free = -20.0
        while free < seconds:
            by = 1 + slower * max(free, 0) / seconds
            wait, rest = 0.1 * np.exp(rng.normal(0, 0.4)) * by, 0.8 * np.exp(rng.normal(0, 0.5)) * by
            at.append(free)
            waits.append(wait)
            lasting.append(rest)
            free += wait + rest
    sent = np.array(at)
    first = sent + np.array(waits)
    over = first + np.array(lasting)
    return Load(seconds, sent, first, over, np.linspace(first, over, 20, axis=1))


@pytest.mark.parametrize("slots", [1, 8])
def test_a_closed_loop_that_stands_still_is_rarely_called_unsteady_and_never_rising(slots: int) -> None:
    found = [in_slots(seed, slots).found(open_loop=False) for seed in range(150)]
    assert sum(bool(one.reasons) for one in found) <= 0.05 * 150 + 5
    assert not any(one.rising for one in found)


def test_a_closed_loop_that_gets_slower_is_no_steady_state_but_not_rising() -> None:
    found = in_slots(0, 16, seconds=60, slower=1.5).found(open_loop=False)
    assert any("TTFT rose by" in reason for reason in found.reasons)
    assert not found.rising


@pytest.mark.parametrize("where", [0.55, 0.8])
def test_a_stall_late_in_a_step_is_neither_cut_off_nor_a_reason_against_it(where: float) -> None:
    """Two seconds of sixty in which nothing came: that is what users met, and the figures must hold it."""
    stalled = [stationary(seed, seconds=60).frozen(60 * where, 60 * where + 2).found() for seed in range(60)]
    as_it_was = [stationary(seed, seconds=60).found() for seed in range(60)]
    assert sum(cut_s(found) >= 60 * where - 1 for found in stalled) == 0
    assert np.median([cut_s(found) for found in stalled]) < 6
    assert sum(bool(found.reasons) for found in stalled) <= sum(bool(found.reasons) for found in as_it_was) + 3


def test_what_is_shorter_than_a_second_has_no_window() -> None:
    found = constant(seconds=0.95).found()
    assert found == Window(start_ns=None, end_ns=None, reasons=("shorter than 1 s",))
    assert constant(seconds=1).found().start_ns == START_NS


def test_fewer_than_ten_answers_have_no_window() -> None:
    load = constant(seconds=20, every_s=2)
    load.first_s = np.where(load.at_s < 2, np.nan, load.first_s)
    found = load.found()
    assert found == Window(start_ns=None, end_ns=None, reasons=("only 9 requests were answered in it",))


def test_nothing_at_all_has_no_window() -> None:
    nothing = np.empty(0)
    found = Load(20, nothing, nothing, nothing, nothing).found()
    assert found.reasons == ("only 0 requests were answered in it",)


def test_a_step_that_was_nearly_all_warm_up_was_too_short() -> None:
    """Half of its requests came in the last fifth, and only those were quick."""
    at = np.concatenate([np.linspace(0, 16, 100), np.linspace(16.01, 19.9, 100)])
    first = at + np.where(at > 16, 0.1, 5 + np.sin(at))
    found = Load(20, at, first, first + 0.1, first[:, None]).found()
    assert any(reason.startswith("too short: its warm-up took 1") for reason in found.reasons), found


def test_requests_never_answered_are_no_trouble_for_the_window() -> None:
    load = stationary(5)
    load.first_s[::7] = np.nan
    load.over_s[::14] = np.nan
    assert load.found().start_ns is not None


# ── the pieces ────────────────────────────────────────────────────────────────────────────────────────────────────


def by_definition(series: np.ndarray) -> int:
    """MSER-5 as White, Cobb and Spratt write it, one cut after the other, of values clipped as declared."""
    means = [float(np.mean(series[i : i + BATCH])) for i in range(0, len(series) - BATCH + 1, BATCH)]
    low, high = np.quantile(means, CLIP), np.quantile(means, 1 - CLIP)
    means = [min(max(mean, low), high) for mean in means]
    n = len(means)
    scores = []
    for d in range(n // 2 + 1):
        rest = means[d:]
        centre = sum(rest) / len(rest)
        scores.append(sum((value - centre) ** 2 for value in rest) / len(rest) ** 2)
    return min(range(len(scores)), key=scores.__getitem__) * BATCH


def test_the_cut_is_that_of_the_formula() -> None:
    cuts = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(20, 300))
        warming = np.exp(-np.arange(n) / rng.uniform(1, n / 2)) * rng.uniform(-4, 4)
        series = 10 + warming + rng.normal(0, rng.uniform(0.01, 1), n)
        assert mser(series) == by_definition(series)
        cuts.add(mser(series))
    assert len(cuts) > 15


def test_a_step_up_is_cut_at_the_batch_where_it_is() -> None:
    rng = np.random.default_rng(0)
    series = np.where(np.arange(250) < 40, 0.0, 10.0) + rng.normal(0, 0.1, 250)
    assert mser(series) == 40


def test_one_value_far_off_is_not_a_warm_up() -> None:
    rng = np.random.default_rng(0)
    series = 10 + rng.normal(0, 1, 250)
    series[100:105] = 1000
    assert mser(series) < 100


@pytest.mark.parametrize("n", [0, 1, 4, 5, 19])
def test_too_few_values_are_all_kept(n: int) -> None:
    assert mser(np.arange(n, dtype=float)) == 0


@pytest.mark.parametrize("level", [0.0, 3.0, 64.0])
def test_of_a_level_that_never_moves_nothing_is_cut(level: float) -> None:
    assert mser(np.full(250, level)) == 0


@pytest.mark.parametrize("level", [0.1, 3.7, 1e8 / 3])
def test_nor_of_one_that_is_no_binary_fraction(level: float) -> None:
    assert mser(np.full(250, level)) == 0


def test_a_drift_is_the_change_over_the_series_as_a_share_of_its_mean() -> None:
    # Eleven batches of ten: from 90.5 + a hair to 109.5; slope by batch 2, times 11, over a mean of 100.
    series = np.repeat(np.arange(90.0, 111, 2), 10)
    assert drift(series) == pytest.approx(22 / 100)
    assert drift(series[::-1]) == pytest.approx(-22 / 100)


def test_a_sure_drift_that_is_small_is_let_pass() -> None:
    assert drift(np.linspace(93, 107, 220)) is None  # 14%
    assert drift(np.linspace(91, 109, 220)) == pytest.approx(0.18, abs=0.01)


def test_a_large_drift_that_is_not_sure_is_let_pass() -> None:
    rng = np.random.default_rng(3)
    series = np.linspace(80, 120, 220)
    assert drift(series) is not None
    assert drift(series + np.repeat(rng.normal(0, 60, 11), 20)) is None


def test_chance_makes_a_drift_in_about_one_series_in_a_hundred() -> None:
    """Two-sided 99%, and large enough: of noise so wild that any slope is large."""
    rng = np.random.default_rng(0)
    found = sum(drift(10 + rng.normal(0, 20, 110)) is not None for _ in range(3000))
    assert 0.004 * 3000 < found < 0.018 * 3000


@pytest.mark.parametrize("series", [np.arange(21.0), np.zeros(100), np.empty(0)])
def test_too_little_has_no_drift(series: np.ndarray) -> None:
    assert drift(series) is None


def test_requests_under_way_are_counted_at_the_middle_of_each_bin() -> None:
    # Bins of 50 ms, middles at 25, 75, 125, 175 ms.
    sent_ms = np.array([0, 10, 30, 76, 100, np.nan])
    over_ms = np.array([25, 80, 74, 175.5, np.nan, 90])
    got = inflight(START_NS + sent_ms * 1e6, START_NS + over_ms * 1e6, START_NS, 4)
    # 25 ms: the first is over at that moment; 75: only the second; 125 and 175: the fourth. Unknown stamps don't count.
    assert got.tolist() == [1, 1, 1, 1]
    two = inflight(START_NS + np.array([0.0, 10]) * 1e6, START_NS + np.array([100.0, 60]) * 1e6, START_NS, 3)
    assert two.tolist() == [2, 1, 0]
