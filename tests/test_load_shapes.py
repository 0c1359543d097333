"""How long prompts and answers are: the declared medians, the clips, and the shrinking to a context."""

import json
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigError
from bench.load.shapes import NAMED, Lengths, Shape, parse
from bench.load.traces import Trace

SEED = (3, 1)
TRACE = Trace(name="day.csv", due_ns=(0, 1, 2), lengths=((100, 10), (9, 90), (40, 4)))


def drawn(shape: Shape, n: int = 4000) -> list[tuple[int, int]]:
    return [shape.lengths(SEED, number) for number in range(n)]


@pytest.mark.parametrize("name", sorted(NAMED))
def test_medians_are_the_declared_ones_and_nothing_is_beyond_the_clips(name: str) -> None:
    shape = parse(name)
    for part, tokens in zip((shape.prompt, shape.answer), zip(*drawn(shape), strict=True), strict=True):
        # The standard error of a log-normal's median is 1.25 * sigma / sqrt(n) of it.
        assert median(tokens) == pytest.approx(part.median, rel=5 * 1.25 * part.sigma / 4000**0.5, abs=1)
        assert part.least <= min(tokens) < part.median < max(tokens) <= part.most
        assert len(set(tokens)) > 20


def test_the_spread_is_the_declared_one() -> None:
    tokens = sorted(Lengths(median=1000, sigma=0.5, least=1, most=10**6).draw(Random(n)) for n in range(4000))
    one_sigma_down, one_sigma_up = tokens[round(4000 * 0.1587)], tokens[round(4000 * 0.8413)]
    assert one_sigma_down == pytest.approx(1000 * 2.71828**-0.5, rel=0.05)
    assert one_sigma_up == pytest.approx(1000 * 2.71828**0.5, rel=0.05)


def test_clipped_lengths_pile_up_at_the_clips() -> None:
    part = Lengths(median=100, sigma=2.0, least=90, most=110)
    tokens = [part.draw(Random(n)) for n in range(500)]
    assert {min(tokens), max(tokens)} == {90, 110}
    assert tokens.count(90) > 150
    assert tokens.count(110) > 150


def test_lengths_are_the_same_whoever_asks_and_in_whatever_order() -> None:
    one, other = parse("chat"), Shape.of(json.loads(json.dumps(parse("chat").as_dict())))
    backwards = [other.lengths(list(SEED), number) for number in reversed(range(50))]  # as a process that read JSON
    assert drawn(one, 50) == backwards[::-1]
    assert drawn(one, 3) == [(202, 46), (52, 690), (143, 123)], "published figures hang on these staying as they are"


def test_another_seed_step_or_number_is_another_length() -> None:
    shape = parse("long")
    assert len({shape.lengths(seed, n) for seed in ((1, 0), (0, 1), (10,), (1,)) for n in range(100)}) > 395


def test_prompt_and_answer_are_drawn_apart() -> None:
    prompts, answers = zip(*drawn(parse("chat"), 2000), strict=True)
    both_long = sum(p > 400 and a > 160 for p, a in zip(prompts, answers, strict=True))
    assert both_long / 2000 == pytest.approx(0.25, abs=0.05)


def test_fixed_lengths_are_always_those() -> None:
    shape = parse("512x128")
    assert (shape.name, shape.longest) == ("512x128", 640)
    assert set(drawn(shape, 20)) == {(512, 128)}


def test_a_trace_is_taken_in_its_order_and_begun_again_at_its_end() -> None:
    shape = parse("trace", TRACE)
    assert drawn(shape, 5) == [(100, 10), (9, 90), (40, 4), (100, 10), (9, 90)]
    assert (shape.name, shape.longest) == ("trace-day.csv", 110)
    assert parse("trace:day.csv", TRACE) == shape


@pytest.mark.parametrize(
    "shape", [*NAMED.values(), parse("12x34"), parse("trace", TRACE)], ids=lambda shape: shape.name
)
def test_a_shape_comes_back_from_json_as_it_was(shape: Shape) -> None:
    again = Shape.of(json.loads(json.dumps(shape.as_dict())))
    assert again == shape
    assert again.hash() == shape.hash()


def test_a_hash_tells_shapes_apart() -> None:
    shapes = [*NAMED.values(), parse("512x128"), parse("128x512"), parse("trace", TRACE), parse("chat").fitted(2000)]
    assert len({shape.hash() for shape in shapes}) == len(shapes)


# ── shrinking ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_fits_is_left_as_it_is() -> None:
    assert parse("chat").fitted(4000) == parse("chat")  # 3000 + 1000
    assert parse("chat").fitted(3999).name == "chat/2"


def test_shrinking_divides_every_length_and_says_so_in_the_name() -> None:
    shrunk = parse("chat").fitted(1000)
    assert shrunk.name == "chat/4"
    assert shrunk.prompt == Lengths(median=100, sigma=0.9, least=8, most=750)
    assert shrunk.answer == Lengths(median=40, sigma=0.7, least=4, most=250)


def test_a_shrunk_trace_keeps_its_order() -> None:
    assert parse("trace", TRACE).fitted(40).pairs == ((33, 3), (3, 30), (13, 1))


@given(
    st.sampled_from([*NAMED.values(), parse("1000x1"), parse("trace", TRACE)]),
    st.integers(2, 40_000),
    st.integers(0, 10_000),
)
def test_a_shrunk_shape_fits_and_has_tokens_left(shape: Shape, context: int, number: int) -> None:
    fitted = shape.fitted(context)
    assert fitted.longest <= context
    prompt, answer = fitted.lengths(SEED, number)
    assert prompt >= 1
    assert answer >= 1
    assert prompt + answer <= context
    assert (fitted.name == shape.name) == (shape.longest <= context)


@pytest.mark.parametrize("context", [1, 0, -50])
def test_a_context_with_no_room_at_all_leaves_one_token_each(context: int) -> None:
    assert parse("chat").fitted(context).lengths(SEED, 1) == (1, 1)


@pytest.mark.parametrize(
    ("text", "trace", "said"),
    [
        ("chta", None, "did you mean 'chat'"),
        ("", None, "512x128"),
        ("512", None, "512x128"),
        ("512x", None, "512x128"),
        ("-5x10", None, "512x128"),
        ("0x10", None, "at least one token"),
        ("10x0", None, "at least one token"),
        ("512x128x1", None, "512x128"),
        ("trace", None, "--shape trace:FILE"),
        ("trace:x.csv", Trace(name="x.csv", due_ns=(0,), lengths=()), "needs a trace with prompt and answer lengths"),
    ],
)
def test_a_bad_shape_is_one_line_with_the_way_out(text: str, trace: Trace | None, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text, trace)
    assert str(told.value).startswith(f"--shape {text}: ")
    assert said in str(told.value)
    assert "\n" not in str(told.value)
