"""What was promised of a request: limits read, requests judged by hand, and a verdict that is rarely wrong."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaln
from scipy.stats import binom

from bench.errors import ConfigError
from bench.load.slo import LEAST, Slo, judged, parse, sequential, values_ms

GOOD, BAD, OPEN = 1.0, 0.0, None
"""What `judged` says of a request; OPEN is NaN there."""
NAMES = (
    *("sched_ns", "sent_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "end_ns"),
    *("out_tokens", "reasoning_tokens", "chunks"),
)
PLAIN = {
    "sched": 0, "sent": 10, "first_token": 110, "first_answer": 110, "last_token": 510, "end": 520,
    "out_tokens": 41, "chunks": 41, "status": "truncated",
}  # fmt: skip
"""TTFT 100 ms (110 from when it was due), 400 ms for 40 tokens more: TPOT 10 ms; end to end 510 ms."""


def columns(*requests: dict[str, object]) -> dict[str, np.ndarray]:
    """Requests given in ms, each as it differs from PLAIN; None = unknown."""
    found = {name: np.full(len(requests), np.nan) for name in NAMES}
    found["status"] = np.empty(len(requests), dtype=object)
    for i, request in enumerate(requests):
        for name, value in (PLAIN | request).items():
            if name == "status" or value is None:
                found["status"][i] = value if name == "status" else found["status"][i]
            elif f"{name}_ns" in found:
                found[f"{name}_ns"][i] = float(value) * 1e6  # type: ignore[arg-type]
            else:
                found[name][i] = value
    return found


def verdict(request: dict[str, object], limits: str | None, *, open_loop: bool = False) -> float | None:
    (one,) = judged(columns(request), parse(limits) if limits else None, open_loop=open_loop)
    return None if np.isnan(one) else float(one)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_limits_are_read_with_their_names_and_print_as_they_were_typed() -> None:
    assert parse("ttft_ms=500") == Slo(limits={"ttft_ms": 500.0}, target=0.99)
    slo = parse(" ttft_sched_ms = 1e3 ,tpot_ms=50.5", 0.9)
    assert slo == Slo(limits={"ttft_sched_ms": 1000.0, "tpot_ms": 50.5}, target=0.9)
    assert str(slo) == "ttft_sched_ms=1000,tpot_ms=50.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no limit"),
        ("tftt_ms=500", "did you mean 'ttft_ms'"),
        ("ttft=500", "did you mean 'ttft_ms'"),
        ("ttft_ms", "like ttft_ms=500"),
        ("ttft_ms=", "like ttft_ms=500"),
        ("ttft_ms=fast", "like ttft_ms=500"),
        ("ttft_ms=0", "like ttft_ms=500"),
        ("ttft_ms=-1", "like ttft_ms=500"),
        ("ttft_ms=nan", "like ttft_ms=500"),
        ("e2e_ms=inf", "like e2e_ms=500"),
        ("ttft_ms=500,", "'' is no limit"),
        ("ttft_ms=500;tpot_ms=5", "like ttft_ms=500"),
    ],
)
def test_a_bad_limit_is_one_line_with_the_way_out(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text)
    assert str(told.value).startswith(f"--slo {text}: ")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("target", [0, 1, -0.1, 99, float("nan")])
def test_an_attainment_is_a_share(target: float) -> None:
    with pytest.raises(ConfigError, match=f"--attainment {target:g}: give a share between 0 and 1, like 0.99"):
        parse("ttft_ms=500", target)


def test_a_limit_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError):
        parse("ttft_ms=500,ttft_ms=900")


# ── judging ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "without_slo"),
    [
        ("ok", GOOD),
        ("truncated", GOOD),
        ("refused", BAD),
        ("filtered", BAD),
        ("http_error", BAD),
        ("timeout", BAD),
        ("connect_error", BAD),
        ("stream_cut", BAD),
        ("garbled", BAD),
        ("cancelled", OPEN),
    ],
)
@pytest.mark.parametrize("limits", [None, "e2e_ms=10000"])
def test_what_each_status_makes_of_a_request_that_met_every_limit(
    status: str, without_slo: float | None, limits: str | None
) -> None:
    assert verdict({"status": status}, limits) == without_slo


@pytest.mark.parametrize(
    ("limits", "closed", "opened"),
    [
        ("ttft_ms=100", GOOD, BAD),  # open loop: from when it was due, 110 ms
        ("ttft_ms=110", GOOD, GOOD),
        ("ttft_ms=99.9", BAD, BAD),
        ("ttft_sched_ms=110", GOOD, GOOD),
        ("ttft_sched_ms=109", BAD, BAD),
        ("ttfat_ms=100", GOOD, BAD),
        ("tpot_ms=10", GOOD, GOOD),
        ("tpot_ms=9.99", BAD, BAD),
        ("e2e_ms=510", GOOD, BAD),
        ("e2e_ms=520", GOOD, GOOD),
        ("ttft_ms=200,tpot_ms=20,e2e_ms=600", GOOD, GOOD),
        ("ttft_ms=200,tpot_ms=9,e2e_ms=600", BAD, BAD),
    ],
)
def test_every_limit_must_be_met_and_open_loop_counts_from_when_it_was_due(
    limits: str, closed: float, opened: float
) -> None:
    assert verdict({}, limits) == closed
    assert verdict({}, limits, open_loop=True) == opened


THINKING = {"first_answer": 310, "reasoning_tokens": 20}


@pytest.mark.parametrize(
    ("request_", "limits", "expected"),
    [
        (THINKING, "ttft_ms=100", GOOD),
        (THINKING, "ttfat_ms=299", BAD),
        (THINKING, "ttfat_ms=300", GOOD),
        (THINKING, "tpot_ms=10", GOOD),  # streamed thoughts are tokens of the stream
        ({"reasoning_tokens": 21}, "tpot_ms=19", BAD),  # hidden: 20 tokens were streamed, 400 / 19 ms each
        ({"reasoning_tokens": 21}, "tpot_ms=21.1", GOOD),
        ({"out_tokens": 1, "chunks": 1, "last_token": 110}, "tpot_ms=0.001", GOOD),  # nothing to be late with
        ({"out_tokens": None}, "tpot_ms=1000", BAD),  # can't be told
        ({"out_tokens": None}, "ttft_ms=1000", GOOD),
        ({"first_token": None, "first_answer": None, "last_token": None}, "ttft_ms=1000", BAD),
        ({"first_answer": None}, "ttfat_ms=1000", BAD),  # thought, and never answered
        ({"status": "timeout"}, "ttft_ms=1000", BAD),  # although its first token came in time
    ],
)
def test_thinking_single_tokens_and_what_cannot_be_told(
    request_: dict[str, object], limits: str, expected: float
) -> None:
    assert verdict(request_, limits) == expected


def test_many_tokens_in_one_chunk_do_not_keep_a_limit_on_their_pace() -> None:
    assert verdict({"chunks": 1, "first_token": 510, "last_token": 510}, "tpot_ms=10") == BAD


CUT = {"status": "cancelled", "first_token": None, "first_answer": None, "last_token": None, "out_tokens": None}
"""Cut off by the end of the step before its first token; waited for 510 ms since it was sent, 520 since due."""
CUT_LATER = {"status": "cancelled", "out_tokens": None}
"""Cut off after some tokens, the first in time."""


@pytest.mark.parametrize(
    ("request_", "limits", "closed", "opened"),
    [
        (CUT, None, OPEN, OPEN),
        (CUT, "ttft_ms=600", OPEN, OPEN),
        (CUT, "ttft_ms=515", OPEN, BAD),
        (CUT, "ttft_ms=500", BAD, BAD),
        (CUT, "ttft_sched_ms=500", BAD, BAD),
        (CUT, "ttfat_ms=500", BAD, BAD),
        (CUT, "e2e_ms=500", BAD, BAD),
        (CUT, "e2e_ms=600", OPEN, OPEN),
        (CUT, "tpot_ms=0.1", OPEN, OPEN),  # waiting misses no pace
        (CUT_LATER, "ttft_ms=120", OPEN, OPEN),  # may yet fail otherwise
        (CUT_LATER, "ttft_ms=90", BAD, BAD),
        (CUT_LATER, "ttft_ms=120,e2e_ms=500", BAD, BAD),
        (CUT_LATER, "tpot_ms=1", OPEN, OPEN),  # nobody counted its tokens
        (CUT_LATER | {"first_answer": None}, "ttfat_ms=500", BAD, BAD),
        (CUT_LATER | {"first_answer": None}, "ttfat_ms=600", OPEN, OPEN),
    ],
)
def test_what_the_end_cut_off_is_bad_only_if_its_limit_had_passed(
    request_: dict[str, object], limits: str | None, closed: float | None, opened: float | None
) -> None:
    assert verdict(request_, limits) == closed
    assert verdict(request_, limits, open_loop=True) == opened


def test_a_wait_since_due_is_counted_since_due_in_closed_loop_too() -> None:
    assert verdict(CUT, "ttft_sched_ms=515") == BAD


def test_each_request_is_judged_by_itself() -> None:
    many = columns({}, CUT, {"status": "http_error"}, {"first_token": 300}, CUT | {"end": 50})
    found = judged(many, parse("ttft_ms=200"), open_loop=False)
    assert found.tolist()[:4] == [GOOD, BAD, BAD, BAD]
    assert np.isnan(found[4])
    assert judged(columns(), parse("ttft_ms=200"), open_loop=True).shape == (0,)


def test_values_are_those_of_the_definitions() -> None:
    told = columns({}, THINKING, CUT)
    closed = {
        name: values_ms(told, name, open_loop=False) for name in ("ttft_ms", "ttft_sched_ms", "tpot_ms", "e2e_ms")
    }
    assert closed["ttft_ms"][:2].tolist() == [100, 100]
    assert closed["ttft_sched_ms"][:2].tolist() == [110, 110]
    assert closed["tpot_ms"][:2].tolist() == [10, 10]
    assert closed["e2e_ms"][:2].tolist() == [510, 510]
    assert all(np.isnan(values[2]) for values in closed.values())
    assert values_ms(told, "ttfat_ms", open_loop=False)[:2].tolist() == [100, 300]


# ── how sure ──────────────────────────────────────────────────────────────────────────────────────────────────────

MOST = 2000
LOOKS = np.arange(20, MOST + 1, 10)


@cache
def verdicts(target: float) -> np.ndarray:
    """(n + 1, bad + 1) of +1 passes, -1 fails, 0, at every look: the formula again, over whole arrays at once."""
    n, bad = LOOKS[:, None], np.arange(MOST + 1)[None, :]
    good = np.maximum(n - bad, 0)
    below = betainc(good + 1, bad + 1, target)
    base = betaln(good + 1, bad + 1) - good * np.log(target) - bad * np.log(1 - target) - np.log(40)
    with np.errstate(divide="ignore"):
        passes = base + np.log((1 - below) / (1 - target)) > 0
        fails = base + np.log(below / target) > 0
    return np.where(passes, 1, np.where(fails, -1, 0))


def ever(share: float, target: float, n_sequences: int = 2000, seed: int = 0) -> tuple[float, float]:
    """(share of sequences that ever pass, that ever fail), looked at after every ten requests; the first counts."""
    rng = np.random.default_rng(seed)
    bad = np.cumsum(rng.random((n_sequences, MOST)) >= share, axis=1)[:, LOOKS - 1]
    told = verdicts(target)[np.arange(len(LOOKS))[None, :], bad]
    first = told[np.arange(n_sequences), (told != 0).argmax(axis=1)]
    return float((first == 1).mean()), float((first == -1).mean())


def test_the_fast_copy_used_here_is_the_function_itself() -> None:
    names = {1: "passes", -1: "fails", 0: "undecided"}
    rng = np.random.default_rng(1)
    for target in (0.99, 0.9):
        for look in (*range(5), *rng.integers(0, len(LOOKS), 60)):
            spread = int(binom.ppf(0.9999, LOOKS[look], 1 - target)) + 20
            bad = int(rng.integers(0, min(spread, LOOKS[look]) + 1))
            assert sequential(int(LOOKS[look]) - bad, bad, target) == names[verdicts(target)[look, bad]], (look, bad)


@pytest.mark.parametrize("target", [0.99, 0.9, 0.5])
def test_at_the_target_itself_a_verdict_is_given_at_most_once_in_twenty(target: float) -> None:
    passed, failed = ever(target, target)
    slack = 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert passed + failed <= 0.05 + slack
    assert passed <= 0.025 + slack
    assert failed <= 0.025 + slack
    assert passed + failed > 0.002, "a test that never decides is no test"


@pytest.mark.parametrize(
    ("share", "target", "wrong"), [(0.985, 0.99, 0), (0.88, 0.9, 0), (0.995, 0.99, 1), (0.92, 0.9, 1)]
)
def test_on_either_side_of_the_target_the_wrong_verdict_is_rarer_still(share: float, target: float, wrong: int) -> None:
    assert ever(share, target)[wrong] <= 0.025


@pytest.mark.parametrize(("share", "target", "right"), [(0.95, 0.99, 1), (0.8, 0.9, 1), (0.97, 0.9, 0), (1.0, 0.99, 0)])
def test_far_from_the_target_the_right_verdict_nearly_always_comes(share: float, target: float, right: int) -> None:
    assert ever(share, target)[right] >= 0.99


def test_requests_that_are_all_good_pass_after_535_at_a_target_of_99_percent() -> None:
    assert sequential(534, 0, 0.99) == "undecided"
    assert sequential(535, 0, 0.99) == "passes"


def test_requests_that_are_all_bad_fail_as_soon_as_a_verdict_may_be_given() -> None:
    assert sequential(0, LEAST - 1, 0.99) == "undecided"
    assert sequential(0, LEAST, 0.99) == "fails"


@given(st.integers(0, 400), st.integers(0, 400))
def test_at_a_target_of_one_half_good_and_bad_are_alike(good: int, bad: int) -> None:
    mirrored = {"passes": "fails", "fails": "passes", "undecided": "undecided"}
    assert sequential(good, bad, 0.5) == mirrored[sequential(bad, good, 0.5)]


@given(st.integers(0, 3000), st.integers(0, 200), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_a_verdict_is_on_the_side_where_the_share_is(good: int, bad: int, target: float) -> None:
    told = sequential(good, bad, target)
    if told != "undecided":
        assert (told == "passes") == (good / (good + bad) > target)


@pytest.mark.parametrize(
    ("good", "bad", "told"), [(10**7, 0, "passes"), (0, 10**7, "fails"), (9_900_000, 100_000, "undecided")]
)
def test_ten_million_requests_are_no_trouble(good: int, bad: int, told: str) -> None:
    assert sequential(good, bad, 0.99) == told
