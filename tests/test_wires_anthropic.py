"""Anthropic Messages: recorded streams become the columns they mean, requests are what the API documents."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold
from bench.errors import Broken, ConfigError, Garbled, Refused, ServerFault
from bench.records import Endpoint, Message, Request, Tool, ToolCall
from bench.wires import Event, ToolDelta, Usage, anthropic, decoder_of, framing_of, wire
from bench.wires.anthropic import decode, encode

RECORDED = Path(__file__).parent / "wires"
FILES = sorted(RECORDED.glob("anthropic.*.sse"))
ADD = Tool(name="add", description="adds", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


def endpoint(headers: dict[str, str] | None = None, **quirks: Any) -> Endpoint:
    return Endpoint(
        target_id="t", base_url="http://x/v1", wire="anthropic", model="m", headers=headers or {}, quirks=quirks
    )


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def body(request: Request | None = None, **quirks: Any) -> dict[str, Any]:
    return encode(endpoint(**quirks), request or ask()).body


def new_fold(**more: Any) -> Fold:
    return Fold(wire("anthropic"), endpoint(), ask(**more))


def taken(name: str, **more: Any) -> Fold:
    """Each event arrives 10 ns after the one before, the first at 10."""
    fold = new_fold(**more)
    frames = (RECORDED / f"anthropic.{name}.sse").read_bytes().split(b"\n\n")[:-1]
    fold.take((10 * n, frame + b"\n\n") for n, frame in enumerate(frames, start=1))
    return fold


def folded(name: str, **more: Any) -> tuple[Fold, dict[str, Any]]:
    fold = taken(name, **more)
    fold.close()
    return fold, fold.columns()


def tokens(row: dict[str, Any]) -> tuple[int | None, ...]:
    names = ("in_tokens", "in_cached_tokens", "in_cache_write_tokens", "out_tokens", "reasoning_tokens")
    return tuple(row.get(name) for name in names)


# ── streams ──


def test_a_block_that_begins_a_ping_and_the_end_mark_are_no_tokens() -> None:
    fold, row = folded("plain")
    assert fold.status() == "ok"
    assert (row["first_event_ns"], row["first_token_ns"], row["first_answer_ns"]) == (10, 40, 40)
    assert (row["last_token_ns"], fold.end_ns, row["chunks"], fold.done) == (70, 90, 4, True)
    assert row["answer"] == "Grüße aus 東京 🙂."
    assert (row["response_id"], row["response_model"], row["service_tier"]) == (
        "msg_7",
        "claude-m-20260501",
        "standard",
    )
    assert (row["finish_reason"], row["tokens_source"]) == ("end_turn", "server")
    assert tokens(row) == (9, 0, 0, 4, None)


def test_thinking_stops_the_clock_of_the_first_token_but_not_that_of_the_answer() -> None:
    _, row = folded("reasoning")
    assert (row["first_token_ns"], row["first_answer_ns"], row["last_token_ns"], row["chunks"]) == (30, 80, 80, 3)
    assert (row["reasoning"], row["answer"]) == ("two and two", "4")
    assert tokens(row) == (9, 0, 0, 30, 27)


def test_thinking_that_is_not_shown_is_no_token_though_it_is_counted() -> None:
    _, row = folded("reasoning_hidden")
    assert (row["first_token_ns"], row["first_answer_ns"], row["chunks"]) == (80, 80, 1)
    assert (row["reasoning"], row["answer"], row["reasoning_tokens"]) == (None, "4", 27)


def test_pieces_of_tool_calls_are_joined_by_their_block() -> None:
    fold, row = folded("tool_call", tools=(ADD,))
    assert fold.status() == "ok"
    assert row["answer"] == "I add."
    assert row["tool_calls"] == (
        ToolCall(id="toolu_1", name="add", arguments='{"a": 2, "b": "ü"}'),
        ToolCall(id="toolu_2", name="now", arguments=""),
    )
    # The call without arguments has no piece that brings a token: it is seen when its block ends.
    assert fold.token_ns == [30, 70, 80, 120]
    assert (row["first_token_ns"], row["first_answer_ns"], fold.end_ns) == (30, 30, 130)
    assert row["schema_valid"] is False, "`now` is no tool that was offered"


def test_a_call_whose_input_came_with_its_beginning_is_whole() -> None:
    fold, row = folded("tool_call_whole", tools=(ADD,), tool_choice="add")
    assert row["tool_calls"] == (ToolCall(id="toolu_1", name="add", arguments='{"a": 2}'),)
    assert (row["first_token_ns"], row["first_answer_ns"], row["schema_valid"]) == (30, 30, True)
    assert fold.status() == "ok"


def test_input_that_came_twice_is_taken_once() -> None:
    decode = decoder_of(wire("anthropic"), endpoint())
    block = {"type": "tool_use", "id": "c", "name": "add", "input": {"a": 2}}
    said = [
        decode(json.dumps(event).encode())
        for event in (
            {"type": "content_block_start", "index": 0, "content_block": block},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": '{"a":2}'},
            },
            {"type": "content_block_stop", "index": 0},
        )
    ]
    assert "".join(piece.arguments for event in said for piece in event.tool_calls) == '{"a":2}'


def test_a_tool_that_the_server_runs_is_no_call_of_ours_but_its_input_was_generated() -> None:
    _, row = folded("server_tool", tools=(ADD,))
    assert row["tool_calls"] is None
    assert (row["first_token_ns"], row["answer"], row["chunks"], row["schema_valid"]) == (30, "4", 2, None)


@pytest.mark.parametrize(
    ("name", "status", "answer", "finish"),
    [
        ("refusal", "refused", "First", "refusal"),
        ("refusal_at_once", "refused", "", "refusal"),
        ("length", "truncated", "one two", "max_tokens"),
        ("length_thinking", "truncated", "", "max_tokens"),
        ("context", "truncated", "one", "model_context_window_exceeded"),
        ("stop_sequence", "ok", "one", "stop_sequence"),
    ],
)
def test_each_end_has_its_status(name: str, status: str, answer: str, finish: str) -> None:
    fold, row = folded(name)
    assert (fold.status(), row["answer"], row["finish_reason"]) == (status, answer, finish)


def test_a_refusal_before_the_first_token_starts_no_clock() -> None:
    _, row = folded("refusal_at_once")
    assert (row["first_token_ns"], row["chunks"], row["out_tokens"]) == (None, 0, 0)


def test_an_overloaded_server_inside_the_stream_can_be_asked_again() -> None:
    with pytest.raises(ServerFault, match="overloaded_error 529 Overloaded") as caught:
        taken("error_in_band")
    assert caught.value.http_status == 529


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("invalid_request_error", Refused, 400),
        ("authentication_error", Refused, 401),
        ("billing_error", Refused, 402),
        ("api_error", ServerFault, 500),
        ("timeout_error", ServerFault, 504),
        ("something_new", ServerFault, None),
    ],
)
def test_an_error_inside_the_stream_means_what_it_would_have_meant_as_a_status(
    kind: str, error: type[Exception], status: int | None
) -> None:
    fold = new_fold()
    raw = json.dumps({"type": "error", "error": {"type": kind, "message": "no"}}).encode()
    with pytest.raises(error) as caught:
        fold.take([(10, b"event: error\ndata: " + raw + b"\n\n")])
    assert getattr(caught.value, "http_status", 0) == status


def test_a_spending_limit_inside_the_stream_is_not_asked_again() -> None:
    with pytest.raises(Refused, match="enforced_spend_limit_reached"):
        taken("error_money")


@pytest.mark.parametrize("name", ["cut", "cut_done"])
def test_a_stream_without_a_stop_reason_is_cut_even_with_its_end_mark(name: str) -> None:
    fold = taken(name)
    with pytest.raises(Broken, match="after 2 token events without a finish reason"):
        fold.close()
    row = fold.columns()
    assert tokens(row) == (9, 0, 0, None, None), "the first count of output tokens is not the last word"
    assert row["tokens_source"] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("usage_cached", (234, 200, 30, 5, None)),
        ("usage_on_delta", (11, 2, None, 5, None)),
        ("usage_twice", (9, None, None, 5, None)),
        ("usage_none", (None, None, None, None, None)),
    ],
)
def test_usage_is_put_together_from_wherever_it_stands(name: str, expected: tuple[int | None, ...]) -> None:
    _, row = folded(name)
    assert tokens(row) == expected


def test_the_tier_and_the_region_are_told_and_fast_is_a_tier() -> None:
    _, cached = folded("usage_cached")
    _, fast = folded("usage_twice")
    assert (cached["service_tier"], cached["routed_provider"]) == ("priority", "eu")
    assert fast["service_tier"] == "fast"


def test_a_whole_body_is_one_event() -> None:
    fold = new_fold(tools=(ADD,))
    fold.expect_json()
    fold.take([(10, (RECORDED / "anthropic.whole.json").read_bytes())])
    fold.close()
    row = fold.columns()
    assert (row["answer"], row["reasoning"], row["chunks"], fold.end_ns) == ("4", "two and two", 1, 10)
    assert row["tool_calls"] == (ToolCall(id="toolu_1", name="add", arguments='{"a": 2}'),)
    assert tokens(row) == (9, 5, 0, 30, 20)
    assert (fold.status(), row["service_tier"], row["schema_valid"]) == ("ok", "batch", True)


def test_one_event_by_itself_is_decoded_too() -> None:
    piece = b'{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}'
    assert decode(piece) == Event(tool="{}", tool_calls=(ToolDelta(3, arguments="{}"),))
    last = decode(b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}')
    assert (last.finish_reason, last.usage) == ("end_turn", Usage(out_tokens=3))
    assert decode(b"[DONE]") == decode(b'{"type":"message_stop"}') == Event(done=True)
    assert decode(b'{"type":"an_event_of_tomorrow","text":"x"}') == Event()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 14), max_size=30), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_of_a_stream_gives_the_same_answer(file: Path, cuts: list[int], end: bytes) -> None:
    def row_of(raw: bytes, edges: list[int]) -> tuple[dict[str, Any], str]:
        fold, said = new_fold(), ""
        try:
            fold.take((10, raw[a:b]) for a, b in zip([0, *edges], [*edges, len(raw)], strict=True))
            fold.close()
        except (Broken, ServerFault, Refused) as error:
            said = str(error)
        return fold.columns(), said

    raw = file.read_bytes()
    other = raw.replace(b"\n", end)
    assert row_of(other, sorted(cut % len(other) for cut in cuts)) == row_of(raw, [])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no",
        b"[1]",
        b"3",
        b'{"choices":[]}',
        b'{"type":3}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":3}}',
        b'{"type":"message","content":3}',
        b'{"type":"message","content":[3]}',
    ],
    ids=lambda payload: repr(payload[:24]),
)
def test_what_is_not_the_wires_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        decode(payload)


WORDS = """type index delta content_block message content text thinking partial_json usage input_tokens output_tokens
error stop_reason id name input output_tokens_details thinking_tokens cache_read_input_tokens speed"""
TYPES = """message_start message_delta message_stop message content_block_start content_block_delta content_block_stop
text_delta thinking_delta input_json_delta text thinking tool_use server_tool_use error ping"""
keys, kinds_ = st.sampled_from(WORDS.split()), st.sampled_from(TYPES.split())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | kinds_ | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(
    kinds=st.lists(kinds_, min_size=1, max_size=4),
    value=st.dictionaries(keys, anything, max_size=5),
)
def test_any_json_is_an_event_or_garbled_and_nothing_else(kinds: list[str], value: dict[str, Any]) -> None:
    decode = decoder_of(wire("anthropic"), endpoint())
    for kind in kinds:
        try:
            event = decode(json.dumps({**value, "type": kind}).encode())
        except Garbled:
            continue
        assert isinstance(event, Event)
        assert all(isinstance(text, str) for text in (event.text, event.reasoning, event.tool))


def test_the_fast_way_through_a_stream_is_taken_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def row_and_calls() -> tuple[dict[str, Any], int]:
        calls = 0
        parse = anthropic.parse

        def counted(payload: bytes) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            return parse(payload)

        monkeypatch.setattr(anthropic, "parse", counted)
        _, row = folded("plain")
        monkeypatch.setattr(anthropic, "parse", parse)
        return row, calls

    fast = row_and_calls()
    monkeypatch.setattr(anthropic, "VERBATIM", False)
    slow = row_and_calls()
    assert fast[0] == slow[0]
    # 3 of the 4 texts were not parsed, for one trial of the pattern.
    assert fast[1] == slow[1] - 3 + 1


# ── requests ──


def test_a_request_says_what_was_asked_in_the_wires_words() -> None:
    out = encode(
        endpoint(),
        ask(
            prompt=None,
            messages=(
                Message(role="system", content="be brief"),
                Message(role="user", content="2+2?"),
                Message(role="assistant", content="4"),
                Message(role="user", content="3+3?"),
                Message(role="system", content="and kind"),
            ),
            max_tokens=7,
            seed=3,
            stop=("###", "\n", " \t"),
            extra={"metadata": {"user_id": "u"}},
        ),
    )
    assert out.path == "/messages"
    assert out.headers == {"anthropic-version": "2023-06-01"}
    assert out.body == {
        "model": "m",
        "max_tokens": 7,
        "system": "be brief\n\nand kind",
        "messages": [
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "3+3?"},
        ],
        "stop_sequences": ["###"],
        "temperature": 0.0,
        "metadata": {"user_id": "u"},
        "stream": True,
    }


def test_a_plain_prompt_is_one_user_message() -> None:
    assert body()["messages"] == [{"role": "user", "content": "2+2="}]
    assert "system" not in body()


@pytest.mark.parametrize("version", ["2026-10-21", "2027-01-01"])
def test_a_version_that_refuses_a_temperature_gets_none(version: str) -> None:
    out = encode(endpoint({"Anthropic-Version": version}), ask())
    assert "temperature" not in out.body
    assert out.headers == {}
    kept = encode(endpoint({"anthropic-version": "2023-06-01"}), ask())
    assert (kept.body["temperature"], kept.headers) == (0.0, {})


def test_a_temperature_is_not_sent_where_the_model_thinks_or_refuses_it() -> None:
    assert "temperature" not in body(ask(thinking_tokens=1024, max_tokens=2000))
    assert "temperature" not in body(ask(effort="high"), effort_on={"thinking": {"type": "adaptive"}})
    assert "temperature" not in body(ask(extra={"thinking": {"type": "adaptive"}}))
    assert "temperature" not in body(sampling="refused")
    at_high, when_none = {"output_config": {"effort": "high"}}, {"sampling": "when_none", "effort_default": "none"}
    assert "temperature" not in body(ask(extra=at_high), **when_none)
    assert body(**when_none)["temperature"] == 0.0
    assert body(ask(effort="none"))["temperature"] == 0.0
    assert body(ask(extra={"temperature": 1}))["temperature"] == 1


def test_effort_and_budget_stand_where_the_wire_has_them() -> None:
    assert body(ask(effort="high"))["output_config"] == {"effort": "high"}
    adaptive = body(ask(effort="low"), effort_on={"thinking": {"type": "adaptive"}})
    assert (adaptive["thinking"], adaptive["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    budget = body(ask(thinking_tokens=1024, max_tokens=2000))
    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert body(ask(effort="none"))["thinking"] == {"type": "disabled"}
    between = body(ask(effort="none"), reasoning_off={"thinking": {"type": "between_tools"}})
    assert between["thinking"] == {"type": "between_tools"}
    assert "output_config" not in between
    with pytest.raises(ConfigError, match="1024 tokens for thinking are not less than max_tokens = 1024"):
        body(ask(thinking_tokens=1024, max_tokens=1024))
    with pytest.raises(ConfigError, match="always thinks"):
        body(ask(effort="none"), reasoning="always")
    assert body(ask(thinking_tokens=8), budget_min=1)["thinking"]["budget_tokens"] == 8
    assert "thinking" not in body(ask(thinking_tokens=8, tools=(ADD,), tool_choice="add"), budget_at=False)
    assert "thinking" not in body(ask(effort="none"), reasoning="none")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("add", {"type": "tool", "name": "add"}),
    ],
)
def test_tools_and_the_choice_among_them(choice: str, told: dict[str, str]) -> None:
    sent = body(ask(tools=(ADD, Tool(name="now")), tool_choice=choice))
    assert sent["tools"] == [
        {"name": "add", "description": "adds", "input_schema": dict(ADD.parameters)},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert sent["tool_choice"] == told


def test_a_schema_for_the_answer_goes_beside_the_effort() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    sent = body(ask(answer_schema=schema, effort="low"))
    assert sent["output_config"] == {"format": {"type": "json_schema", "schema": schema}, "effort": "low"}


def test_the_model_can_stand_in_the_address() -> None:
    vertex = endpoint(path="/models/{model}:streamRawPredict", extra_body={"anthropic_version": "vertex-2023-10-16"})
    out = encode(vertex, ask())
    assert out.path == "/models/m:streamRawPredict"
    assert "model" not in out.body
    assert out.body["anthropic_version"] == "vertex-2023-10-16"


@pytest.mark.parametrize(
    ("request_", "quirks", "message"),
    [
        (ask(echo=True), {}, "openai_completions"),
        (ask(logprobs=0), {}, "no log-probabilities"),
        (ask(tools=(ADD,)), {"tools": False}, "takes no tools"),
        (ask(tools=(ADD,), tool_choice="required"), {"tools": "auto"}, "cannot be made to call"),
        (ask(tools=(ADD,), tool_choice="ad"), {}, "none of the request's tools; did you mean 'add'"),
        (ask(thinking_tokens=1023, max_tokens=9000), {}, "1023 tokens for thinking are fewer than the 1024"),
        (
            ask(thinking_tokens=1024, max_tokens=9000, tools=(ADD,), tool_choice="required"),
            {},
            "cannot be made to call a tool while it thinks",
        ),
        (ask(answer_schema={}), {"structured": False}, "takes no"),
        (ask(answer_schema={}), {"structured": "json_object"}, "takes no"),
        (ask(stop=("a", "b", "c")), {"stop_max": 2}, "3 stop sequences"),
    ],
    ids=str,
)
def test_what_the_wire_cannot_carry_is_a_config_error(request_: Request, quirks: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        body(request_, **quirks)


def test_a_target_that_takes_no_stops_gets_none() -> None:
    assert "stop_sequences" not in body(ask(stop=("a",)), stop_max=0)
    assert "stop_sequences" not in body(ask(stop=("\n\n",)))


def test_events_are_cut_as_server_sent_events() -> None:
    raw = b"event: ping\r\ndata: {}\r\n\r\n"
    assert framing_of(wire("anthropic")).feed(raw) == [b"{}"]
