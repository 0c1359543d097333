"""Climbs and searches on servers that are a formula: what can be done is known, and so is the right answer."""

from collections.abc import Callable
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.arrivals import MOST_STREAMS, Arrivals, parse
from bench.load.ladder import CLOSE, MOST_STEPS, SearchResult, climb, search
from bench.load.slo import Verdict
from bench.load.summary import StepResult

Answer = Callable[[Arrivals], StepResult]


class Pretend:
    """Runs steps by a rule, and remembers them and what was told."""

    def __init__(self, rule: Answer) -> None:
        self.rule = rule
        self.asked: list[str] = []
        self.levels: list[float] = []
        self.told: list[str] = []

    def run(self, arrivals: Arrivals) -> StepResult:
        self.asked.append(str(arrivals))
        self.levels.append(arrivals.level)
        return self.rule(arrivals)

    def climb(self, text: str) -> list[str]:
        climb(parse(text), self.run, self.told.append)
        return self.asked

    def search(self, text: str) -> SearchResult:
        found = search(parse(text), self.run, self.told.append)
        assert found.n_steps == len(self.asked) == len(found.levels)
        assert len(set(self.asked)) == len(self.asked), "no level is measured twice"
        assert len(self.told) == len(self.asked)
        return found


def result(
    verdict: Verdict = "undecided", *, tps: float | None = 100.0, over: bool = False, bound: bool = False, good: int = 9
) -> StepResult:
    return StepResult(
        row={"n_good": good}, verdict=verdict, over_saturated=over, out_tps=tps, client_bound=bound, n_answered=good
    )


def able(capacity: float, unsure: float = 0.0) -> Answer:
    """Passes up to its capacity; undecided above it by up to `unsure` of it; fails beyond."""

    def answer(arrivals: Arrivals) -> StepResult:
        if arrivals.level <= capacity:
            return result("passes")
        return result("undecided" if arrivals.level <= capacity * (1 + unsure) else "fails")

    return answer


def saturating(at: int) -> Answer:
    """Closed loop: throughput in proportion up to `at` requests under way, flat beyond."""
    return lambda arrivals: result(tps=50.0 * min(arrivals.level, at))


# ── climbs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_steps_asked_for_are_the_steps_taken() -> None:
    server = Pretend(saturating(2))
    assert server.climb("closed:4,1,16,8") == ["closed:4", "closed:1", "closed:16", "closed:8"]
    assert server.told == []


def test_a_climb_doubles_past_the_knee_by_one_and_then_looks_twice_around_it() -> None:
    server = Pretend(saturating(20))
    asked = server.climb("closed")
    assert asked[:7] == ["closed:1", "closed:2", "closed:4", "closed:8", "closed:16", "closed:32", "closed:64"]
    assert server.levels[7:] == [45, 38]  # between 32 and 64, where doubling gained nothing; then 32 and 45
    assert len(asked) == 9


def test_a_climb_from_given_levels_goes_on_from_the_last() -> None:
    assert Pretend(saturating(30)).climb("closed:3,10,...")[:4] == ["closed:3", "closed:10", "closed:20", "closed:40"]


def test_a_climb_with_an_end_goes_no_further_and_takes_the_end_itself() -> None:
    assert Pretend(saturating(10**6)).climb("closed:1..48")[-2:] == ["closed:32", "closed:48"]
    assert Pretend(saturating(10**6)).climb("closed:1..64")[-2:] == ["closed:32", "closed:64"]
    assert Pretend(saturating(10**6)).climb("poisson:0.5..3") == ["poisson:0.5", "poisson:1", "poisson:2", "poisson:3"]


def test_over_saturation_ends_a_climb_says_so_and_is_closed_in_on() -> None:
    server = Pretend(lambda arrivals: result(over=arrivals.level > 11))
    server.climb("poisson:1,...")
    assert server.levels[:5] == [1, 2, 4, 8, 16]
    assert server.told == ["poisson:16: the target is over-saturated; poisson:32 and beyond are left out"]
    assert server.levels[5:] == [pytest.approx(11.31, abs=0.01), pytest.approx(9.51, abs=0.01)]


def test_over_saturation_ends_a_ladder_too_but_nothing_is_added_to_it() -> None:
    server = Pretend(lambda arrivals: result(over=arrivals.level > 3))
    assert server.climb("constant:1,2,4,8,16") == ["constant:1", "constant:2", "constant:4"]
    assert server.told == ["constant:4: the target is over-saturated; constant:8 and beyond are left out"]


def test_over_saturation_in_the_last_step_needs_no_word() -> None:
    server = Pretend(lambda arrivals: result(over=True))
    assert server.climb("constant:1") == ["constant:1"]
    assert server.told == []


def test_a_client_at_its_limit_ends_a_ladder_and_is_named_as_the_limit() -> None:
    server = Pretend(lambda arrivals: result(bound=arrivals.level >= 100))
    assert server.climb("closed:10,100,1000") == ["closed:10", "closed:100"]
    assert "this client is at its limit" in server.told[0]


def test_a_server_that_answers_nothing_is_not_asked_more() -> None:
    server = Pretend(lambda arrivals: result(tps=None, good=0))
    assert server.climb("closed:1,2,4") == ["closed:1"]
    assert "no request was answered in it; closed:2 and beyond are left out" in server.told[0]
    assert Pretend(lambda arrivals: result(tps=None, good=0)).climb("closed") == ["closed:1"]


def test_a_climb_of_a_server_without_a_knee_ends_all_the_same() -> None:
    server = Pretend(saturating(10**9))
    server.climb("closed")
    assert len(server.asked) <= MOST_STEPS + 2


@pytest.mark.parametrize("searches", [False, True])
def test_no_ladder_goes_beyond_the_streams_one_machine_has_ports_for(searches: bool) -> None:
    server = Pretend(lambda arrivals: result("passes", tps=50.0 * arrivals.level))
    server.search("closed") if searches else server.climb("closed")
    assert max(server.levels) <= MOST_STREAMS


def test_a_climb_after_levels_out_of_order_goes_on_above_the_highest() -> None:
    server = Pretend(saturating(64))
    server.climb("closed:8,4,...")
    assert max(server.levels) >= 64
    assert len(set(server.levels)) == len(server.levels)


@given(st.integers(1, 500))
def test_wherever_the_knee_is_levels_around_it_are_measured(knee: int) -> None:
    server = Pretend(saturating(knee))
    server.climb("closed")
    levels = sorted(server.levels)
    assert any(low <= knee for low in levels)
    assert levels[-1] >= knee
    assert len(levels) <= 14
    assert len(set(levels)) == len(levels)


# ── searches ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 1500), st.integers(1, 300))
def test_the_highest_number_of_requests_under_way_is_found_exactly(capacity: int, first: int) -> None:
    server = Pretend(able(capacity))
    found = server.search(f"closed:{first}")
    assert (found.low, found.high, found.failed) == (capacity, capacity + 1, capacity + 1)
    assert found.reason is None
    assert found.n_steps <= 2 * 14


@given(st.floats(0.05, 5000), st.floats(0.5, 50))
def test_the_highest_rate_is_found_to_five_percent(capacity: float, first: float) -> None:
    found = Pretend(able(capacity)).search(f"poisson:{first}")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= capacity < found.high == found.failed
    assert found.high / found.low <= CLOSE * 1.0001
    assert found.reason is None


def test_the_way_of_a_search_is_doubling_and_then_halves() -> None:
    server = Pretend(able(11))
    found = server.search("closed")
    assert server.levels == [1, 2, 4, 8, 16, 12, 10, 11]
    assert found.levels == [(n, "passes" if n <= 11 else "fails") for n in server.levels]
    assert server.told[3:5] == ["closed:8: passes", "closed:16: fails"]


def test_a_search_that_begins_too_high_halves_its_way_down() -> None:
    server = Pretend(able(3))
    assert server.search("closed:64").low == 3
    assert server.levels[:5] == [64, 32, 16, 8, 4]


def test_a_level_that_cannot_be_decided_is_not_passed_and_not_failed() -> None:
    server = Pretend(able(10, unsure=0.35))  # 11, 12, 13 undecided
    found = server.search("closed")
    assert (found.low, found.high) == (10, 11)
    assert found.failed == 16
    assert found.line(0.99) == ("10 requests under way keep 99% within the SLO, 11 is not sure, 16 fails; 8 steps")


def test_where_nothing_passes_the_lowest_level_says_so() -> None:
    found = Pretend(able(0)).search("closed:8")
    assert (found.low, found.high, found.n_steps) == (None, 1, 4)
    assert found.line(0.9) == "no load kept 90% within the SLO, not even 1 requests under way; 4 steps"


def test_where_no_rate_passes_the_search_gives_up_a_thousandfold_below() -> None:
    found = Pretend(able(0)).search("poisson:2")
    assert found.low is None
    assert found.high == pytest.approx(2 / 1024, rel=1e-3)
    assert found.n_steps == 11


def test_where_everything_passes_the_ladders_end_ends_it() -> None:
    server = Pretend(able(inf))
    found = server.search("closed:1..48")
    assert (found.low, found.high, found.reason) == (48, None, "the ladder's end")
    assert server.levels == [1, 2, 4, 8, 16, 32, 48]
    assert found.line(0.99) == "at least 48 requests under way keep 99% within the SLO; 7 steps (the ladder's end)"


def test_a_ladders_end_that_fails_is_searched_below() -> None:
    found = Pretend(able(40)).search("closed:1..48")
    assert (found.low, found.high, found.reason) == (40, 41, None)


def test_a_client_at_its_limit_ends_a_search_with_what_passed_so_far() -> None:
    server = Pretend(lambda arrivals: result("passes", bound=arrivals.level >= 30))
    found = server.search("poisson:1")
    assert (found.low, found.high, found.reason) == (16, None, "at poisson:32 this client is at its limit")
    assert "(at poisson:32 this client is at its limit)" in found.line(0.99)


def test_a_client_at_its_limit_without_a_verdict_leaves_that_level_open() -> None:
    rule = able(20, unsure=10)
    server = Pretend(
        lambda arrivals: StepResult(row={}, verdict=rule(arrivals).verdict, client_bound=arrivals.level > 20)
    )
    found = server.search("poisson:1")
    assert (found.low, found.high, found.failed) == (16, None, None)
    assert found.reason == "at poisson:32 this client is at its limit"


def test_a_first_step_without_a_verdict_says_that_it_was_too_short_and_not_that_anything_failed() -> None:
    found = Pretend(lambda arrivals: StepResult(row={"n_good": 30, "n_bad": 0}, n_answered=30)).search("closed")
    assert (found.low, found.failed, found.n_steps) == (None, None, 1)
    assert "closed:1 gave 30 requests in its time, too few for a verdict" in found.line(0.99)
    assert "nothing can be said yet" in found.line(0.99)


def test_an_over_saturated_step_without_a_verdict_fails() -> None:
    server = Pretend(
        lambda arrivals: result(over=arrivals.level > 5, verdict="passes" if arrivals.level <= 5 else "undecided")
    )
    found = server.search("constant:1")
    assert found.low is not None
    assert found.low <= 5 < found.high == found.failed  # type: ignore[operator]


def test_a_verdict_of_passes_stands_though_the_step_was_over_saturated() -> None:
    server = Pretend(lambda arrivals: result("passes" if arrivals.level < 4 else "fails", over=arrivals.level == 2))
    assert server.search("closed").low == 3


def test_a_search_that_never_meets_ends_where_no_client_can_go() -> None:
    found = Pretend(able(inf)).search("poisson:1")
    assert found.high is None
    assert found.low == 100_000
    assert found.reason == "the ladder's end"


@given(st.lists(st.sampled_from(["passes", "fails", "undecided"]), min_size=30, max_size=30))
def test_whatever_the_verdicts_the_ends_are_what_was_measured(verdicts: list[Verdict]) -> None:
    """A server may be moody: the interval is of levels that were tried, and the lower end is below the upper."""
    moods = iter(verdicts)
    server = Pretend(lambda arrivals: result(next(moods)))
    found = server.search("closed:16")
    passed = [level for level, told in found.levels if told == "passes"]
    others = [level for level, told in found.levels if told != "passes"]
    assert found.low == max(passed, default=None)
    assert found.high == min(others, default=None)
    assert found.low is None or found.high is None or found.low < found.high
    assert all(one != other for one, other in pairwise(server.levels))


@pytest.mark.parametrize(("target", "said"), [(0.999, "99.9%"), (0.995, "99.5%"), (0.9999, "99.99%")])
def test_the_share_of_the_answer_is_the_one_asked_for(target: float, said: str) -> None:
    found = SearchResult(kind="closed", low=3, high=4, failed=4, n_steps=5)
    assert f"keep {said} within" in found.line(target)
