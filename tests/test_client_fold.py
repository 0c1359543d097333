"""Fold: recorded events with known stamps become the columns METRICS defines; a cut stream is never a short answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold, UnknownEnd, failure_columns, joined
from bench.errors import Broken, Garbled, ServerFault
from bench.records import Endpoint, Request
from bench.wires import wire

RECORDED = Path(__file__).parent / "wires"


def new_fold(wire_name: str = "openai_chat", *, redact: Any = str, quirks: Any = None, **ask: Any) -> Fold:
    endpoint = Endpoint(target_id="t", base_url="http://x/v1", wire=wire_name, model="m", quirks=quirks or {})
    request = Request(request_id="r", request_key="k", **{"prompt": "q", **ask})
    return Fold(wire(wire_name), endpoint, request, redact)


def folded(name: str, **more: Any) -> tuple[Fold, dict[str, Any]]:
    """Each event of a recorded stream arrives 10 ns after the one before, the first at 10."""
    fold = new_fold(name.split(".")[0], **more)
    frames = (RECORDED / f"{name}.sse").read_bytes().split(b"\n\n")[:-1]
    fold.take((10 * n, frame + b"\n\n") for n, frame in enumerate(frames, start=1))
    fold.close()
    return fold, fold.columns()


def said(*texts: str, finish: str = "stop") -> list[tuple[int, bytes]]:
    """Visible texts, 10 ns apart, as raw JSON strings (so that escapes can be cut in two)."""
    texts = tuple(text.replace("\n", r"\n") for text in texts)
    frames = [
        b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % t.encode("utf-8", "surrogateescape") for t in texts
    ]
    frames.append(b'data: {"choices":[{"delta":{},"finish_reason":"%b"}]}\n\n' % finish.encode())
    return [(10 * n, frame) for n, frame in enumerate(frames, start=1)]


def test_the_role_starts_no_clock_and_usage_ends_none() -> None:
    fold, row = folded("openai_chat.plain")
    assert fold.status() == "ok"
    assert (row["first_event_ns"], row["first_token_ns"], row["first_answer_ns"]) == (10, 20, 20)
    assert (row["last_token_ns"], fold.end_ns, row["chunks"]) == (50, 60, 4)
    assert row["answer"] == "Grüße aus 東京 🙂."
    assert (row["in_tokens"], row["in_cached_tokens"], row["out_tokens"], row["reasoning_tokens"]) == (9, 2, 4, 0)
    assert row["tokens_source"] == "server"
    assert (row["response_id"], row["response_model"], row["system_fingerprint"]) == (
        "chatcmpl-7",
        "m-2026-05-01",
        "fp_3",
    )


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_stops_the_first_token_clock_but_not_that_of_the_answer(name: str) -> None:
    _, row = folded(f"openai_chat.{name}")
    assert (row["first_token_ns"], row["first_answer_ns"], row["chunks"]) == (20, 40, 3)
    assert (row["reasoning"], row["answer"]) == ("two and two", "4")


def test_an_inline_thought_is_reasoning_even_when_its_tags_are_cut() -> None:
    _, row = folded("openai_chat.think_tag")
    assert (row["first_token_ns"], row["first_answer_ns"], row["chunks"]) == (20, 60, 5)
    assert (row["reasoning"], row["answer"]) == ("two and two", "4")


@pytest.mark.parametrize(
    ("texts", "answer", "reasoning", "first_answer_ns"),
    [
        (["<think>a</think>b"], "b", "a", 10),
        (["\n\n<think>", "</think>", "b"], "b", None, 30),
        (["a, ", "b</think>\n", "\nc"], "c", "a, b", 30),
        (["<think>a, ", "b"], "", "a, b", None),
        (["a <think>b</think>"], "a <think>b</think>", None, 10),
        (["no thought"], "no thought", None, 10),
        ([" ", "x"], " x", None, 10),
    ],
)
def test_thoughts_are_cut_from_the_answer(
    texts: list[str], answer: str, reasoning: str | None, first_answer_ns: int | None
) -> None:
    fold = new_fold()
    fold.take(said(*texts))
    fold.close()
    row = fold.columns()
    assert (row["answer"], row["reasoning"], row["first_answer_ns"]) == (answer, reasoning, first_answer_ns)
    assert row["first_token_ns"] == 10


def test_statuses_of_recorded_ends() -> None:
    ends = {
        name: folded(f"openai_chat.{name}")[0].status() for name in ("tool_call", "refusal", "content_filter", "length")
    }
    assert ends == {"tool_call": "ok", "refusal": "refused", "content_filter": "filtered", "length": "truncated"}


def test_a_refusal_and_a_tool_call_are_tokens_and_answers() -> None:
    _, refusal = folded("openai_chat.refusal")
    _, tool = folded("openai_chat.tool_call")
    assert (refusal["answer"], refusal["first_token_ns"], refusal["first_answer_ns"]) == ("I can't help.", 20, 20)
    assert (tool["answer"], tool["first_token_ns"], tool["first_answer_ns"], tool["chunks"]) == ("", 20, 20, 3)


@pytest.mark.parametrize("name", ["error_in_band", "error_openrouter"])
def test_an_error_inside_the_stream_is_an_error_and_keeps_its_text_for_reading(name: str) -> None:
    fold = new_fold()
    with pytest.raises(ServerFault, match="error inside the stream"):
        fold.take([(10, (RECORDED / f"openai_chat.{name}.sse").read_bytes())])
    assert fold.columns()["answer"] == "one"


@pytest.mark.parametrize("name", ["openai_chat.cut", "openai_completions.cut"])
def test_a_cut_stream_is_an_error_not_a_short_answer(name: str) -> None:
    fold = new_fold(name.split(".")[0])
    fold.take([(10, (RECORDED / f"{name}.sse").read_bytes())])
    with pytest.raises(Broken, match="after 2 token events without a finish reason"):
        fold.close()


def test_half_an_event_at_the_end_is_a_cut() -> None:
    fold = new_fold()
    fold.take([(10, said("one")[0][1]), (20, b'data: {"choices":[{"del')])
    with pytest.raises(Broken, match="inside an event"):
        fold.close()


def test_done_is_no_finish_unless_the_catalogue_says_so() -> None:
    raw = said("one")[0][1] + b"data: [DONE]\n\n"
    fold = new_fold()
    fold.take([(10, raw)])
    with pytest.raises(Broken):
        fold.close()
    forgiving = new_fold(quirks={"end": "done"})
    forgiving.take([(10, raw)])
    forgiving.close()
    assert forgiving.status() == "ok"


@pytest.mark.parametrize(
    ("finish", "error"), [("error", ServerFault), ("because", UnknownEnd), ("malformed_tool_use", Garbled)]
)
def test_a_finish_reason_that_is_a_failure_raises(finish: str, error: type[Exception]) -> None:
    fold = new_fold()
    fold.take(said("x", finish=finish))
    fold.close()
    with pytest.raises(error):
        fold.status()


def test_several_events_of_one_read_share_a_stamp_and_are_counted() -> None:
    frames = [frame for _, frame in said("a", "b", "c", "d", "e")]
    fold = new_fold()
    fold.take([(5, frames[0]), (10, b"".join(frames[1:4])), (20, frames[4]), (30, frames[5])])
    fold.close()
    row = fold.columns()
    assert fold.token_ns == [5, 10, 10, 10, 20]
    assert (row["chunks"], row["merged_reads"]) == (5, 1)


def test_the_echoed_prompt_is_no_token_and_no_answer() -> None:
    fold, row = folded("openai_completions.echo_logprobs", echo=True, prompt="The sky", logprobs=1)
    assert (row["first_token_ns"], row["first_answer_ns"], row["chunks"], row["answer"]) == (20, 20, 1, " is")
    assert [pair.logprob for pair in row["logprobs"]] == [None, -1.5, -0.5]
    assert fold.status() == "truncated"


def test_a_missing_usage_is_unknown_and_not_zero() -> None:
    _, row = folded("openai_chat.tool_call")
    fold = new_fold()
    fold.take(said("x"))
    fold.close()
    assert row["out_tokens"] == 4
    assert fold.columns().get("out_tokens") is fold.columns().get("tokens_source") is None


def test_a_provider_that_leaves_reasoning_out_of_the_output_is_put_right() -> None:
    _, row = folded("openai_chat.reasoning", quirks={"output_excludes_reasoning": True})
    assert (row["out_tokens"], row["reasoning_tokens"]) == (57, 27)


def test_a_last_usage_that_says_less_takes_nothing_back() -> None:
    fold = new_fold()
    fold.take(said("x"))
    for usage in ({"prompt_tokens": 9, "completion_tokens": 3}, {"cost": 0.25}):
        fold.take([(9, b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")])
    row = fold.columns()
    assert (row["in_tokens"], row["out_tokens"], row["provider_usd"]) == (9, 3, "0.25")


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_stream_that_calls_itself_json_is_read_as_the_stream_it_is(end: bytes) -> None:
    stream = (RECORDED / "openai_chat.plain.sse").read_bytes()
    lines = b"\n".join(
        json.dumps({"message": {"content": text}, "done": not text, "done_reason": None if text else "stop"}).encode()
        for text in ("a", "b", "")
    )
    for name, body, answer in (("openai_chat", stream, "Grüße aus 東京 🙂."), ("ollama", lines, "ab")):
        fold = new_fold(name)
        fold.expect_json()
        fold.take([(1, body[:40]), (2, body[40:] + end)])
        fold.close()
        assert (fold.status(), fold.columns()["answer"]) == ("ok", answer)


def test_a_server_that_ignored_stream_gives_one_token_event() -> None:
    fold = new_fold()
    fold.expect_json()
    body = (
        b'\n\n{"id":"c","choices":[{"message":{"content":"4"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}'
    )
    fold.take([(10, body[:30]), (20, body[30:])])
    fold.close()
    row = fold.columns()
    assert (row["answer"], row["chunks"], row["first_token_ns"], fold.end_ns, row["out_tokens"]) == ("4", 1, 20, 20, 1)


@pytest.mark.parametrize("halves", [(r"\ud83d", r"\ude42"), ("\udcf0\udc9f", "\udc99\udc82")], ids=["escapes", "bytes"])
def test_a_character_cut_over_two_events_is_whole_again(halves: tuple[str, str]) -> None:
    fold = new_fold()
    fold.take(said("a" + halves[0], halves[1] + "b"))
    fold.close()
    assert fold.status() == "ok"
    assert fold.columns()["answer"] == "a🙂b"


def test_bytes_that_are_no_text_even_when_joined_are_garbled_and_a_lone_escape_is_not() -> None:
    fold = new_fold()
    fold.take(said("a\udcff\udcfe"))
    fold.close()
    with pytest.raises(Garbled, match="UTF-8"):
        fold.status()
    assert joined("a\ud83d b") == "a\ufffd b"


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.lists(st.integers(0, 200), max_size=6))
def test_text_cut_anywhere_in_its_bytes_is_joined(text: str, cuts: list[int]) -> None:
    raw = text.encode()
    ends = [*sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    pieces = [raw[a:b].decode("utf-8", "surrogateescape") for a, b in zip([0, *ends], ends, strict=False)]
    assert joined("".join(pieces), strict=True) == text


def test_secrets_are_cut_from_answers_and_messages() -> None:
    fold = new_fold(redact=lambda text: text.replace("sk-1234567890", "***"))
    fold.take(said("the key is sk-1234", "567890!"))
    fold.close()
    assert fold.columns()["answer"] == "the key is ***!"
    with pytest.raises(Garbled) as caught:
        fold.take([(90, b'data: {"' + b"x" * 70 + b'sk-1234567890"\n\n')])
    assert "sk-1" not in str(caught.value)


def test_whether_asking_again_can_help_is_a_column() -> None:
    assert failure_columns(Broken("x")) == {
        "status": "stream_cut",
        "error": "x",
        "retry_after_s": None,
        "retryable": True,
    }
    assert not failure_columns(UnknownEnd("x"))["retryable"]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(max_size=6).filter(bool), min_size=1, max_size=12),
    finish=st.sampled_from(["stop", "length"]),
)
def test_skipping_the_parser_changes_nothing(texts: list[str], finish: str) -> None:
    """Events through the pattern of `bench.client.pattern` and events decoded one by one give the same row."""
    import json

    chunks = [{"id": "c", "model": "m", "choices": [{"delta": {"role": "assistant", "content": t}}]} for t in texts]
    chunks.append({"id": "c", "choices": [{"delta": {}, "finish_reason": finish}]})
    raw = [
        (n, f"data: {json.dumps(c, ensure_ascii=n % 2 == 0)}\n\n".encode("utf-8", "surrogatepass"))
        for n, c in enumerate(chunks)
    ]
    fast, slow = new_fold(), new_fold()
    slow._pattern._tries = 0
    for fold in (fast, slow):
        fold.take(raw)
        fold.close()
    assert fast.columns() == slow.columns()
    assert fast.token_ns == slow.token_ns
