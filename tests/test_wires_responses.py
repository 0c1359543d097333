"""The Responses wire: what each event says, which of them stop which clock, and what is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold
from bench.errors import Broken, ConfigError, Garbled, RateLimited, Refused, ServerFault
from bench.records import Endpoint, Message, Request, Tool, ToolCall
from bench.wires import Event, Usage, openai_responses
from bench.wires.finish import status_of

RECORDED = Path(__file__).parent / "wires"
OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}
CLOSED = {**OPEN, "required": ["a"], "additionalProperties": False}


def endpoint(**quirks: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url="http://x/v1", wire="openai_responses", model="m", quirks=quirks)


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def body(quirks: Any = None, **more: Any) -> dict[str, Any]:
    return openai_responses.encode(endpoint(**(quirks or {})), ask(**more)).body


def frames(name: str) -> list[bytes]:
    return [
        frame + b"\n\n" for frame in (RECORDED / f"openai_responses.{name}.sse").read_bytes().split(b"\n\n") if frame
    ]


def begun(name: str, quirks: Any = None, **more: Any) -> Fold:
    """Each event of a recorded stream arrived 10 ns after the one before, the first at 10."""
    fold = Fold(openai_responses, endpoint(**(quirks or {})), ask(**more))
    fold.take((10 * n, frame) for n, frame in enumerate(frames(name), start=1))
    return fold


def folded(name: str, quirks: Any = None, **more: Any) -> tuple[Fold, dict[str, Any]]:
    fold = begun(name, quirks, **more)
    fold.close()
    return fold, fold.columns()


def nth(name: str, kind: str, which: int = 0) -> int:
    """Stamp of an event, by its type."""
    marks = [
        10 * n for n, frame in enumerate(frames(name), start=1) if frame.startswith(b"event: response." + kind.encode())
    ]
    return marks[which]


def clocks(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["first_token_ns"], row["first_answer_ns"], row["last_token_ns"], row["chunks"]


# ── streams ──


def test_a_plain_answer_ends_with_the_event_that_has_its_usage() -> None:
    fold, row = folded("plain")
    assert fold.status() == "ok"
    assert row["answer"] == "Grüße aus 東京 🙂."
    assert row["first_event_ns"] == 10
    assert clocks(row) == (50, 50, 80, 4)
    assert (fold.end_ns, row["finish_reason"]) == (nth("plain", "completed"), "completed")
    assert (row["response_id"], row["response_model"], row["service_tier"]) == ("resp_7", "m-2026-05-01", "default")
    usage = {name: row[name] for name in Usage._fields}
    assert tuple(usage.values()) == (9, 2, 3, 4, 0)


@pytest.mark.parametrize(
    ("name", "kind"), [("reasoning", "reasoning_summary_text.delta"), ("reasoning_raw", "reasoning_text.delta")]
)
def test_reasoning_stops_the_first_clock_and_the_message_that_of_the_answer(name: str, kind: str) -> None:
    fold, row = folded(name)
    said = nth(name, "output_text.delta")
    assert clocks(row) == (nth(name, kind), said, said, 3)
    assert (row["reasoning"], row["answer"], fold.status()) == ("two and two", "4", "ok")
    assert (row["out_tokens"], row["reasoning_tokens"]) == (30, 27)


def test_an_empty_item_of_reasoning_is_no_token() -> None:
    _, row = folded("reasoning_hidden")
    said = nth("reasoning_hidden", "output_text.delta")
    assert clocks(row) == (said, said, said, 1)
    assert (row["reasoning"], row["reasoning_tokens"]) == (None, 27)


def test_commentary_is_seen_but_is_not_the_answer() -> None:
    fold, row = folded("commentary")
    first, _, last = (nth("commentary", "output_text.delta", n) for n in range(3))
    assert clocks(row) == (first, last, last, 3)
    assert (row["reasoning"], row["answer"], fold.status()) == ("Let me see.", "4", "ok")


def test_calls_of_tools_are_joined_by_the_number_of_their_item_and_their_arguments_start_the_clock() -> None:
    fold, row = folded("tool_call")
    first, last = (nth("tool_call", "function_call_arguments.delta", n) for n in (0, 2))
    assert clocks(row) == (first, first, last, 3)
    assert row["tool_calls"] == (
        ToolCall(id="call_a", name="add", arguments='{"a":2}'),
        ToolCall(id="call_b", name="say", arguments='{"text":"東京"}'),
    )
    assert (row["answer"], row["finish_reason"], fold.status()) == ("", "completed", "ok")


def test_a_refusal_is_an_answer_that_is_refused() -> None:
    fold, row = folded("refusal")
    assert clocks(row) == (nth("refusal", "refusal.delta"), nth("refusal", "refusal.delta"), 60, 2)
    assert (row["answer"], row["finish_reason"], fold.status()) == ("I can't help.", "completed", "refused")


@pytest.mark.parametrize(
    ("name", "reason", "status", "answer"),
    [
        ("content_filter", "content_filter", "filtered", "one"),
        ("length", "max_output_tokens", "truncated", "one two"),
        ("length_in_thought", "max_output_tokens", "truncated", ""),
    ],
)
def test_an_incomplete_answer_has_the_reason_as_its_end(name: str, reason: str, status: str, answer: str) -> None:
    fold, row = folded(name)
    assert (row["finish_reason"], fold.status(), row["answer"]) == (reason, status, answer)
    assert fold.end_ns == nth(name, "incomplete")
    assert row["out_tokens"] in (4, 16)


def test_a_failed_answer_is_a_fault_of_the_server_that_still_says_what_it_used() -> None:
    fold = Fold(openai_responses, endpoint(), ask())
    with pytest.raises(ServerFault, match="The model crashed"):
        fold.take((10, frame) for frame in frames("failed"))
    assert (fold.columns()["answer"], fold.columns()["out_tokens"]) == ("one", 1)


def test_an_error_event_is_an_error() -> None:
    fold = Fold(openai_responses, endpoint(), ask())
    with pytest.raises((RateLimited, ServerFault), match="Too many tokens"):
        fold.take((10, frame) for frame in frames("error_in_band"))
    assert fold.columns()["answer"] == "one"


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "error", "error": {"message": "boom", "code": 500}},
        {"error": {"message": "boom", "code": 500}},
        {"type": "response.failed", "response": {"status": "failed", "error": {"message": "boom", "code": 500}}},
        {"object": "response", "status": "failed", "error": "boom"},
        {"detail": "boom"},
    ],
)
def test_errors_are_found_in_each_shape_they_come_in(payload: dict[str, Any]) -> None:
    error = openai_responses.decode(json.dumps(payload).encode()).error
    assert error is not None
    assert error["message"] == "boom"


def test_what_was_refused_for_good_is_not_asked_again() -> None:
    fold = Fold(openai_responses, endpoint(), ask())
    failed = {"status": "failed", "error": {"code": "bio_policy", "message": "no"}}
    with pytest.raises(Refused, match="bio_policy"):
        fold.take([(10, b"data: " + json.dumps({"type": "response.failed", "response": failed}).encode() + b"\n\n")])


def test_a_cut_stream_is_an_error_and_has_no_usage() -> None:
    fold = begun("cut")
    with pytest.raises(Broken, match="after 2 token events without a finish reason"):
        fold.close()
    assert fold.columns().get("out_tokens") is None
    assert (fold.columns()["response_id"], fold.columns()["service_tier"]) == ("resp_7", None)


def test_an_answer_that_came_only_with_the_end_is_still_an_answer() -> None:
    fold, row = folded("whole_at_end")
    end = nth("whole_at_end", "completed")
    assert clocks(row) == (end, end, end, 1)
    assert (row["reasoning"], row["answer"], fold.status()) == ("two and two", "4", "ok")


def test_log_probabilities_come_with_the_pieces() -> None:
    _, row = folded("logprobs", logprobs=0)
    assert [(pair.token, pair.logprob) for pair in row["logprobs"]] == [("4", -0.25)]


def test_the_whole_body_of_a_server_that_ignored_stream_says_it_all_at_once() -> None:
    event = openai_responses.decode((RECORDED / "openai_responses.whole.json").read_bytes())
    assert (event.text, event.reasoning) == ("4", "two and twoOne moment. ")
    assert [(call.slot, call.id, call.name, call.arguments) for call in event.tool_calls] == [
        (3, "call_a", "add", '{"a":2}')
    ]
    assert event.tool == 'add{"a":2}'
    assert (event.finish_reason, event.usage) == ("completed", Usage(9, 2, 3, 30, 27))
    assert (event.response_id, event.model, event.service_tier) == ("resp_7", "m-2026-05-01", "flex")
    fold = Fold(openai_responses, endpoint(), ask())
    fold.expect_json()
    fold.take([(10, (RECORDED / "openai_responses.whole.json").read_bytes())])
    fold.close()
    assert (fold.columns()["answer"], fold.status(), fold.end_ns) == ("4", "ok", 10)


def test_a_response_that_still_runs_has_not_ended() -> None:
    for status in ("queued", "in_progress"):
        assert (
            openai_responses.decode(json.dumps({"object": "response", "status": status}).encode()).finish_reason is None
        )


def test_one_event_by_itself_is_not_told_twice() -> None:
    alone = [openai_responses.decode(frame.split(b"data: ")[1].strip()) for frame in frames("plain")]
    assert "".join(event.text for event in alone) == "Grüße aus 東京 🙂."


def test_events_without_a_number_are_told_apart_by_the_id_of_their_item() -> None:
    def bare(frame: bytes) -> bytes:
        payload = json.loads(frame.split(b"data: ")[1])
        payload.pop("output_index", None)
        return b"data: " + json.dumps(payload).encode() + b"\n\n"

    for name in ("tool_call", "commentary"):
        fold = Fold(openai_responses, endpoint(), ask())
        fold.take((10 * n, bare(frame)) for n, frame in enumerate(frames(name), start=1))
        fold.close()
        row, (_, usual) = fold.columns(), folded(name)
        assert row == usual


def test_a_call_that_came_without_pieces_is_taken_from_its_whole_item() -> None:
    kept = [frame for frame in frames("tool_call") if b"arguments.d" not in frame.split(b"\n")[0]]
    fold = Fold(openai_responses, endpoint(), ask())
    fold.take((10 * n, frame) for n, frame in enumerate(kept, start=1))
    fold.close()
    assert fold.columns()["tool_calls"] == folded("tool_call")[1]["tool_calls"]
    assert fold.columns()["chunks"] == 2


def test_the_end_marker_that_some_servers_add_is_known() -> None:
    assert openai_responses.decode(b"[DONE]") == Event(done=True)


def test_cost_and_route_are_read_where_the_quirks_say() -> None:
    raw = b"".join(frames("plain")).replace(
        b'"status":"completed","error"', b'"bill":{"nano":42,"by":"n7"},"status":"completed","error"'
    )
    fold = Fold(openai_responses, endpoint(cost_at="bill.nano", cost_scale=1e-9, route_at="bill.by"), ask())
    fold.take([(10, raw)])
    fold.close()
    assert (fold.columns()["provider_usd"], fold.columns()["routed_provider"]) == ("0.000000042", "n7")


def test_statuses_of_this_wires_ends() -> None:
    ends = ("completed", "max_output_tokens", "max_messages", "steered", "incomplete", "failed", "cancelled")
    assert [status_of(end) for end in ends] == ["ok"] + ["truncated"] * 4 + ["http_error"] * 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[1]",
        b'{"type":"response.output_text.delta","delta":3}',
        b'{"type":"response.output_item.added","item":3}',
        b'{"object":"response","output":[3]}',
        b'{"object":"response","output":[{"type":"function_call","arguments":{"a":1}}]}',
    ],
)
def test_what_is_not_the_wires_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        openai_responses.decode(payload)


WORDS = """type object response status output item item_id output_index delta content summary text phase arguments name
call_id usage input_tokens output_tokens_details error code message incomplete_details reason logprobs refusal id"""
TYPES = [
    "response.output_text.delta", "response.completed", "response.incomplete", "response.output_item.added",
    "response.output_item.done", "response.function_call_arguments.delta", "message", "function_call", "reasoning",
    "error", "response",
]  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(TYPES)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=5),
    max_leaves=14,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(WORDS.split()), json_values, max_size=6), max_size=4))
def test_any_json_is_an_event_or_garbled_and_nothing_else(values: list[dict[str, Any]]) -> None:
    decode = openai_responses.decoder(endpoint())
    for value in values:
        try:
            event = decode(json.dumps(value).encode())
        except Garbled:
            continue
        assert isinstance(event, Event)


# ── requests ──


def test_a_request_is_neither_stored_nor_shortened_nor_padded() -> None:
    out = openai_responses.encode(endpoint(), ask(max_tokens=64, seed=3, stop=("\n",), effort="low"))
    assert out.path == "/responses"
    assert out.body == {
        "model": "m",
        "input": [{"role": "user", "content": "2+2="}],
        "max_output_tokens": 64,
        "temperature": 0.0,
        "store": False,
        "truncation": "disabled",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "reasoning": {"effort": "low"},
    }


def test_quirks_of_the_other_wires_do_not_reach_this_one() -> None:
    bent = {
        "cap_field": "max_completion_tokens",
        "seed_field": "random_seed",
        "stop_max": 4,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "sampling": "refused",
        "extra_body": {"service_tier": "flex"},
        "system_role": "developer",
    }
    messages = (Message(role="system", content="s"), Message(role="user", content="u"))
    assert body(bent, messages=messages, prompt=None, seed=1, stop=("x",), extra={"top_p": 1}) == {
        "model": "m",
        "input": [{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}],
        "max_output_tokens": 256,
        "store": False,
        "truncation": "disabled",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "service_tier": "flex",
        "top_p": 1,
    }
    assert "stream_options" not in body({"stream_options": False})


def test_tools_choices_schemas_and_logprobs_are_written_flat() -> None:
    tools = (Tool(name="add", description="adds", parameters=CLOSED), Tool(name="say", parameters=OPEN))
    out = body(tools=tools, tool_choice="add", answer_schema=CLOSED, logprobs=2)
    assert out["tools"] == [
        {"type": "function", "name": "add", "description": "adds", "parameters": CLOSED, "strict": True},
        {"type": "function", "name": "say", "parameters": OPEN, "strict": False},
    ]
    assert out["tool_choice"] == {"type": "function", "name": "add"}
    assert body(tools=tools, tool_choice="required")["tool_choice"] == "required"
    assert out["text"] == {"format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True}}
    assert (out["include"], out["top_logprobs"]) == (["message.output_text.logprobs"], 2)
    assert body({"structured": "json_object"}, answer_schema=OPEN)["text"] == {"format": {"type": "json_object"}}


def test_what_the_wire_or_the_target_cannot_carry_is_a_config_error() -> None:
    tools = (Tool(name="add"),)
    for quirks, more, said in (
        ({}, {"echo": True}, "openai_completions"),
        ({"tools": False}, {"tools": tools}, "takes no tools"),
        ({"tools": "auto"}, {"tools": tools, "tool_choice": "required"}, "cannot be made"),
        ({"structured": False}, {"answer_schema": OPEN}, "answer_schema"),
    ):
        with pytest.raises(ConfigError, match=said):
            body(quirks, **more)


def test_an_answer_that_only_the_end_brings_is_read_though_commentary_was_heard() -> None:
    messages = [
        {"type": "message", "phase": phase, "content": [{"type": "output_text", "text": text}]}
        for phase, text in (("commentary", "let me see"), ("final_answer", "42"))
    ]
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**messages[0], "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "let me see"},
        {"type": "response.completed", "response": {"object": "response", "status": "completed", "output": messages}},
    ]
    decode = openai_responses.decoder(Endpoint(target_id="t", base_url="http://x", wire="openai_responses", model="m"))
    heard = [decode(json.dumps(event).encode()) for event in events]
    assert "".join(event.text for event in heard) == "42"
    assert "".join(event.reasoning for event in heard) == "let me see"
