"""What somebody typed becomes plans, or one line that says what to type instead, before anything is sent."""

from pathlib import Path

import pytest

from bench.errors import ConfigError
from bench.load.asked import plans

HERE = "http://127.0.0.1:9/v1#model"
"""Nobody answers there, and nobody is asked."""


def refused(**asked: object) -> str:
    with pytest.raises(ConfigError) as told:
        plans([HERE], **asked)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "day.csv"
    path.write_text("timestamp,in_tokens,out_tokens\n0,100,20\n2,50,5\n")
    return str(path)


@pytest.fixture
def times(tmp_path: Path) -> str:
    path = tmp_path / "times.csv"
    path.write_text("timestamp\n0\n2\n")
    return str(path)


def test_nothing_but_a_target_is_a_climb_of_chats() -> None:
    (plan,) = plans([HERE])
    assert [str(step) for ladder in plan.ladders for step in ladder.steps] == ["closed:1"]
    assert plan.ladders[0].climbs
    assert (plan.shape.name, plan.cache, plan.lane, plan.duration_s, plan.slo) == ("chat", "cold", "httpx", 60.0, None)


def test_everything_asked_is_in_the_plan() -> None:
    (plan,) = plans(
        [HERE], arrivals=["poisson:2", "closed:4,8"], shape="512x128", duration_s=12, slo="ttft_ms=300", attainment=0.9,
        cache="mixed", client="raw", workers=3, seed=5, self_check=False,
    )  # fmt: skip
    assert [str(step) for ladder in plan.ladders for step in ladder.steps] == ["poisson:2", "closed:4", "closed:8"]
    assert plan.slo is not None
    assert (plan.slo.limits, plan.slo.target) == ({"ttft_ms": 300}, 0.9)
    assert (plan.shape.name, plan.duration_s, plan.cache, plan.lane) == ("512x128", 12, "mixed", "raw")
    assert (plan.workers, plan.seed, plan.self_check, plan.search) == (3, 5, False, False)


def test_every_target_gets_a_plan_and_one_named_twice_gets_one() -> None:
    other = "http://127.0.0.1:9/v1#other"
    assert [plan.target.model for plan in plans([HERE, other, HERE])] == ["model", "other"]


def test_a_trace_brings_its_lengths_unless_a_shape_is_named(trace: str) -> None:
    assert plans([HERE], arrivals=[f"trace:{trace}"])[0].shape.pairs == ((100, 20), (50, 5))
    assert plans([HERE], arrivals=[f"trace:{trace}"], shape="rag")[0].shape.name == "rag"
    assert plans([HERE], arrivals=["closed:2"], shape=f"trace:{trace}")[0].shape.name == "trace-day.csv"


def test_a_trace_without_lengths_brings_its_times_to_the_shape_named_or_to_chat(times: str) -> None:
    (plan,) = plans([HERE], arrivals=[f"trace:{times}"])
    assert (plan.shape.name, plan.ladders[0].steps[0].rate_rps) == ("chat", 0.5)
    assert "needs a trace with prompt and answer lengths" in refused(arrivals=[f"trace:{times}"], shape="trace")


@pytest.mark.parametrize("targets", [None, []])
def test_no_target_says_how_to_name_one(targets: list[str] | None) -> None:
    with pytest.raises(ConfigError, match=r"bench load needs a target: -t embedded:small"):
        plans(targets)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"shape": "chta"}, "--shape chta: unknown; did you mean 'chat'"),
        ({"cache": "hot"}, "--cache hot: unknown"),
        ({"cache": "wram"}, "did you mean 'warm'"),
        ({"client": "htpx"}, "--client htpx: unknown; did you mean 'httpx'"),
        ({"arrivals": ["closd:4"]}, "--arrivals closd:4: 'closd' is no kind"),
        ({"arrivals": ["closed:4", "poisson:x"]}, "--arrivals poisson:x"),
        ({"arrivals": ["trace:"]}, "name the file, trace:FILE"),
        ({"arrivals": ["trace:no/such.csv"]}, "trace no/such.csv: cannot be read (No such file"),
        ({"shape": "trace"}, "--shape trace:FILE"),
        ({"slo": "tftt_ms=1"}, "--slo tftt_ms=1: 'tftt_ms' is no limit; did you mean 'ttft_ms'"),
        ({"slo": "ttft_ms=1", "attainment": 99}, "--attainment 99"),
        ({"search": True}, "--search needs an --slo to search for, like --slo ttft_ms=500"),
        ({"search": True, "slo": "ttft_ms=1", "arrivals": ["closed:1,2"]}, "--search finds its own levels"),
        ({"duration_s": 1.9}, "--duration 1.9: a step lasts from 2 s"),
        ({"duration_s": -5}, "--duration -5: a step lasts from 2 s"),
    ],
)
def test_a_mistake_is_one_line_with_the_option_the_value_and_the_way_out(asked: dict[str, object], said: str) -> None:
    assert said in refused(**asked)


def test_a_search_cannot_raise_a_trace(trace: str) -> None:
    assert "--search needs arrivals that can be raised: closed" in refused(
        search=True, slo="ttft_ms=1", arrivals=[f"trace:{trace}"]
    )


def test_one_trace_at_a_time(trace: str, times: str) -> None:
    assert "one trace at a time" in refused(arrivals=[f"trace:{trace}"], shape=f"trace:{times}")
    assert "one trace at a time" in refused(arrivals=[f"trace:{trace}", f"trace:{times}"])
    assert plans([HERE], arrivals=[f"trace:{trace}"], shape=f"trace:{trace}")


@pytest.mark.parametrize("arrivals", ["closed", "closed:4", "closed:1..64", "closed:4,...", "poisson", "gamma:2,3"])
def test_a_search_takes_at_most_its_first_level(arrivals: str) -> None:
    assert plans([HERE], arrivals=[arrivals], search=True, slo="ttft_ms=1")[0].search


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        plans(["openai:gpt-5-mini"])


@pytest.mark.parametrize("duration_s", [float("nan"), float("inf")])
def test_a_duration_that_is_no_number_is_refused(duration_s: float) -> None:
    assert "--duration" in refused(duration_s=duration_s)


def test_a_negative_seed_is_refused() -> None:
    assert "--seed -1" in refused(arrivals=["poisson:2"], seed=-1)


@pytest.mark.parametrize("asked", [{"arrivals": ["poisson:1e9"]}, {"arrivals": ["constant:500"], "duration_s": 1e5}])
def test_a_schedule_that_cannot_be_held_is_refused_before_anything_starts(asked: dict[str, object]) -> None:
    assert "over 20,000,000 requests" in refused(**asked)


def test_an_attainment_that_is_no_share_is_refused_without_an_slo_too() -> None:
    assert "--attainment 99" in refused(attainment=99)
