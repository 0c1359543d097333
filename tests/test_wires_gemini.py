"""Gemini generateContent: recorded streams become the columns they mean, requests are what the API documents."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold, UnknownEnd
from bench.errors import Broken, ConfigError, Garbled, RateLimited, Refused, RequestError, ServerFault
from bench.records import Endpoint, Message, Request, TokenLogprob, Tool, ToolCall
from bench.wires import Event, Usage, decoder_of, wire
from bench.wires.finish import status_of
from bench.wires.gemini import decode, encode, framing

RECORDED = Path(__file__).parent / "wires"
FILES = sorted(RECORDED.glob("gemini.*.sse"))
ADD = Tool(name="add", description="adds", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


def endpoint(model: str = "gemini-m", **quirks: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url="http://x/v1beta", wire="gemini", model=model, quirks=quirks)


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def body(request: Request | None = None, **quirks: Any) -> dict[str, Any]:
    return encode(endpoint(**quirks), request or ask()).body


def config(request: Request | None = None, **quirks: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(request, **quirks)["generationConfig"]
    return found


def new_fold(**more: Any) -> Fold:
    return Fold(wire("gemini"), endpoint(), ask(**more))


def taken(name: str, **more: Any) -> Fold:
    """Each chunk arrives 10 ns after the one before, the first at 10."""
    fold = new_fold(**more)
    frames = (RECORDED / f"gemini.{name}.sse").read_bytes().split(b"\n\n")
    fold.take((10 * n, frame + b"\n\n") for n, frame in enumerate(frames, start=1) if frame)
    return fold


def folded(name: str, **more: Any) -> tuple[Fold, dict[str, Any]]:
    fold = taken(name, **more)
    fold.close()
    return fold, fold.columns()


def tokens(row: dict[str, Any]) -> tuple[int | None, ...]:
    names = ("in_tokens", "in_cached_tokens", "in_cache_write_tokens", "out_tokens", "reasoning_tokens")
    return tuple(row.get(name) for name in names)


# ── streams ──


def test_the_last_text_and_the_end_come_in_one_chunk() -> None:
    fold, row = folded("plain")
    assert fold.status() == "ok"
    assert (row["first_event_ns"], row["first_token_ns"], row["first_answer_ns"]) == (10, 10, 10)
    assert (row["last_token_ns"], fold.end_ns, row["chunks"]) == (30, 30, 3)
    assert row["answer"] == "Grüße aus 東京 🙂."
    assert (row["response_id"], row["response_model"], row["finish_reason"]) == ("r7", "gemini-m-001", "STOP")
    assert tokens(row) == (9, 0, None, 4, 0)
    assert (row["tokens_source"], row["service_tier"]) == ("server", None)


def test_thoughts_are_reasoning_and_their_tokens_part_of_the_output() -> None:
    _, row = folded("reasoning")
    assert (row["first_token_ns"], row["first_answer_ns"], row["last_token_ns"], row["chunks"]) == (10, 30, 30, 3)
    assert (row["reasoning"], row["answer"]) == ("two and two", "4")
    assert tokens(row) == (9, 0, None, 30, 27)


def test_a_part_with_a_signature_alone_is_no_token() -> None:
    fold, _ = folded("reasoning")
    assert (fold.token_ns, fold.end_ns) == ([10, 20, 30], 40)


def test_thoughts_that_are_not_shown_are_counted() -> None:
    _, row = folded("reasoning_hidden")
    assert (row["reasoning"], row["out_tokens"], row["reasoning_tokens"]) == (None, 30, 27)


def test_tool_calls_come_whole_and_are_told_apart() -> None:
    fold, row = folded("tool_call", tools=(ADD,))
    assert fold.status() == "ok"
    assert row["tool_calls"] == (
        ToolCall(id="call_1", name="add", arguments='{"a": 2, "b": "ü"}'),
        ToolCall(id=None, name="now", arguments="{}"),
        ToolCall(id=None, name="add", arguments='{"a": 3}'),
    )
    assert (fold.token_ns, row["first_answer_ns"], fold.end_ns) == ([10, 20, 30], 10, 40)


@pytest.mark.parametrize(
    ("name", "status", "answer", "finish"),
    [
        ("safety", "filtered", "First", "SAFETY"),
        ("blocked", "filtered", "", "blockReason PROHIBITED_CONTENT"),
        ("blocked_other", "filtered", "", "blockReason OTHER"),
        ("length", "truncated", "one two", "MAX_TOKENS"),
        ("length_thinking", "truncated", "", "MAX_TOKENS"),
        ("finish_apart", "ok", "4", "STOP"),
    ],
)
def test_each_end_has_its_status(name: str, status: str, answer: str, finish: str) -> None:
    fold, row = folded(name)
    assert (fold.status(), row["answer"], row["finish_reason"]) == (status, answer, finish)


def test_a_blocked_prompt_was_read_and_nothing_was_written() -> None:
    fold, row = folded("blocked")
    assert tokens(row) == (9, 0, None, 0, 0)
    assert (row["first_token_ns"], fold.end_ns) == (None, 10)


def test_a_call_that_the_server_could_not_read_is_garbled_and_an_unknown_end_no_good_one() -> None:
    with pytest.raises(Garbled, match="MALFORMED_FUNCTION_CALL"):
        folded("malformed_call")[0].status()
    fold = new_fold()
    fold.take([(10, b'data: {"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"OTHER"}]}\n\n')])
    fold.close()
    with pytest.raises(UnknownEnd, match="OTHER"):
        fold.status()


def test_every_finish_reason_of_the_api_but_other_has_a_status() -> None:
    types = pytest.importorskip("google.genai.types")
    without = {str(one.value) for one in types.FinishReason if status_of(one.value) is None}
    assert without == {"FINISH_REASON_UNSPECIFIED", "OTHER"}


def test_an_unspecified_finish_reason_is_none() -> None:
    assert decode(b'{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}').finish_reason is None


@pytest.mark.parametrize("name", ["error_in_band", "error_one_line"])
def test_an_error_without_its_prefix_is_one_also_over_several_lines(name: str) -> None:
    fold = new_fold()
    with pytest.raises(ServerFault, match="UNAVAILABLE 503 The model is overloaded") as caught:
        fold.take([(10, (RECORDED / f"gemini.{name}.sse").read_bytes())])
    assert caught.value.http_status == 503
    assert fold.columns()["answer"] == "one"


def test_an_error_wrapped_in_an_array_says_how_long_to_wait() -> None:
    with pytest.raises(RateLimited) as caught:
        taken("error_quota")
    assert caught.value.retry_after_s == 46.0


def test_a_quota_of_the_day_is_not_asked_again() -> None:
    details = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject-FreeTier"}]}]
    raw = json.dumps({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": details}})
    with pytest.raises(Refused):
        new_fold().take([(10, raw.encode() + b"\n")])


def test_a_stream_without_a_finish_reason_is_cut() -> None:
    fold = taken("cut")
    with pytest.raises(Broken, match="after 2 token events without a finish reason"):
        fold.close()


def test_half_an_error_at_the_end_is_a_cut() -> None:
    fold = new_fold()
    fold.take([(10, b'{\n  "error": {\n    "code": 503')])
    with pytest.raises(Broken, match="inside an event"):
        fold.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("usage_cached", (109, 4, None, 1, 0)),
        ("usage_none", (None, None, None, None, None)),
        ("finish_apart", (9, 0, None, 1, 0)),
        ("length_thinking", (9, 0, None, 16, 16)),
    ],
)
def test_usage_is_found_wherever_it_stands(name: str, expected: tuple[int | None, ...]) -> None:
    _, row = folded(name)
    assert tokens(row) == expected


def test_no_count_of_the_output_is_unknown_until_the_end_and_then_zero() -> None:
    usage = b'"usageMetadata":{"promptTokenCount":9}'
    assert decode(b'{"candidates":[{}],%b}' % usage).usage == Usage(9, 0, None, None, None)
    assert decode(b'{"candidates":[{"finishReason":"STOP"}],%b}' % usage).usage == Usage(9, 0, None, 0, 0)
    negative = b'{"candidates":[],"usageMetadata":{"promptTokenCount":-9,"candidatesTokenCount":3}}'
    assert decode(negative).usage == Usage(None, 0, None, 3, 0)


def test_the_kind_of_traffic_is_the_service_tier() -> None:
    assert folded("usage_cached")[1]["service_tier"] == "flex"
    assert decode(b'{"usageMetadata":{"trafficType":"ON_DEMAND"}}').service_tier == "ON_DEMAND"


def test_log_probabilities_are_those_of_the_chosen_tokens() -> None:
    assert folded("logprobs")[1]["logprobs"] == (TokenLogprob(token="4", logprob=-0.25),)


def test_an_array_of_chunks_is_a_whole_body() -> None:
    fold = new_fold(tools=(Tool(name="now"),))
    fold.expect_json()
    fold.take([(10, (RECORDED / "gemini.array.json").read_bytes())])
    fold.close()
    row = fold.columns()
    assert (row["answer"], row["reasoning"], row["chunks"], fold.end_ns) == ("4", "two and two", 1, 10)
    assert row["tool_calls"] == (ToolCall(id=None, name="now", arguments="{}"),)
    assert (tokens(row), row["schema_valid"], fold.status()) == ((9, 0, None, 30, 27), True, "ok")


# ── framing ──


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 14), max_size=30), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_of_a_stream_gives_the_same_answer(file: Path, cuts: list[int], end: bytes) -> None:
    def row_of(raw: bytes, edges: list[int]) -> tuple[dict[str, Any], str]:
        fold, said = new_fold(), ""
        try:
            fold.take((10, raw[a:b]) for a, b in zip([0, *edges], [*edges, len(raw)], strict=True))
            fold.close()
        except RequestError as error:
            said = str(error)
        return fold.columns(), said

    raw = file.read_bytes()
    other = raw.replace(b"\n", end)
    assert row_of(other, sorted(cut % len(other) for cut in cuts)) == row_of(raw, [])


def test_bare_json_ends_with_its_last_bracket_and_brackets_in_strings_are_none() -> None:
    bare = b'{"error": {"message": "a } b \\" } c",\n\n "x": [\n1]}\n}'
    cutter = framing()
    assert cutter.feed(b"data: one\n\n" + bare) == [b"one"]
    assert cutter.feed(b"\ndata: two\n\n") == [bare, b"two"]
    assert cutter.close() == []


def test_bare_json_that_never_ends_does_not_swallow_the_events_after_it() -> None:
    cutter = framing()
    assert cutter.feed(b'{"error": {\ndata: two\n\n') == [b'{"error": {', b"two"]
    assert cutter.feed(b'{"a":\n') == []
    assert cutter.close() == [b'{"a":\n']


def test_a_data_event_may_have_lines_that_look_like_json() -> None:
    cutter = framing()
    assert cutter.feed(b"data: {\ndata: }\n\n: a comment\n\ndata: x\n\n") == [b"{\n}", b"x"]


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(
        st.recursive(
            st.dictionaries(st.text(max_size=3), st.text(alphabet='{}[]"\\\n ü', max_size=6), max_size=3),
            lambda inner: st.dictionaries(st.text(max_size=3), inner | st.lists(inner, max_size=2), max_size=2),
            max_leaves=6,
        ),
        max_size=4,
    ),
    indent=st.sampled_from([None, 0, 1, 2]),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
)
def test_bare_objects_come_out_one_by_one(values: list[Any], indent: int | None, cuts: list[int]) -> None:
    raw = b"".join(json.dumps(value, indent=indent, ensure_ascii=False).encode() + b"\n" for value in values)
    edges = sorted(cut % (len(raw) + 1) for cut in cuts)
    cutter = framing()
    out = [p for a, b in zip([0, *edges], [*edges, len(raw)], strict=True) for p in cutter.feed(raw[a:b])]
    assert [json.loads(payload) for payload in out + cutter.close()] == values


# ── anything ──


@pytest.mark.parametrize(
    "payload",
    [b"", b"no", b"[1]", b"[", b"3", b'{"candidates":3}', b'{"candidates":[3]}']
    + [b'{"candidates":[{"content":{"parts":%b}}]}' % p for p in (b"3", b"[3]", b'[{"text":3}]')]
    + [b'{"candidates":[{"content":{"parts":[{"functionCall":3}]}}]}'],
    ids=lambda payload: repr(payload[:60]),
)
def test_what_is_not_the_wires_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        decode(payload)


WORDS = """candidates content parts text thought functionCall name args id finishReason usageMetadata promptTokenCount
candidatesTokenCount thoughtsTokenCount promptFeedback blockReason error logprobsResult chosenCandidates token
trafficType logProbability modelVersion responseId details message code status"""
keys = st.sampled_from(WORDS.split())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(value=st.dictionaries(keys, anything, max_size=5) | st.lists(anything, max_size=3))
def test_any_json_is_an_event_or_garbled_and_nothing_else(value: Any) -> None:
    try:
        event = decoder_of(wire("gemini"), endpoint())(json.dumps(value).encode())
    except Garbled:
        return
    assert isinstance(event, Event)
    assert all(isinstance(text, str) for text in (event.text, event.reasoning, event.tool))


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
            ),
            max_tokens=7,
            seed=3,
            stop=("\n",),
            logprobs=2,
            extra={"serviceTier": "flex", "generationConfig": {"topP": 0.5}},
        ),
    )
    assert out.path == "/models/gemini-m:streamGenerateContent?alt=sse"
    assert out.headers == {}
    assert out.body == {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "2+2?"}]},
            {"role": "model", "parts": [{"text": "4"}]},
            {"role": "user", "parts": [{"text": "3+3?"}]},
        ],
        "generationConfig": {
            "maxOutputTokens": 7,
            "temperature": 0.0,
            "seed": 3,
            "stopSequences": ["\n"],
            "responseLogprobs": True,
            "logprobs": 2,
            "thinkingConfig": {"includeThoughts": True},
            "topP": 0.5,
        },
        "serviceTier": "flex",
    }


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-m", "/models/gemini-m"),
        ("tunedModels/mine", "/tunedModels/mine"),
        ("google/gemini-m@001", "/models/google/gemini-m@001"),
        ("odd name?x#y", "/models/odd%20name%3Fx%23y"),
    ],
)
def test_the_model_stands_in_the_path(model: str, path: str) -> None:
    assert encode(endpoint(model), ask()).path == f"{path}:streamGenerateContent?alt=sse"


def test_thinking_is_told_and_seen_and_not_asked_for_where_there_is_none() -> None:
    assert config(ask(effort="high"))["thinkingConfig"] == {"includeThoughts": True, "thinkingLevel": "HIGH"}
    assert config(ask(effort="max"), effort_words={"max": "HIGH"})["thinkingConfig"]["thinkingLevel"] == "HIGH"
    assert config(ask(thinking_tokens=512))["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 512}
    assert config(ask(effort="none"))["thinkingConfig"] == {"thinkingBudget": 0}
    off = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}
    assert config(ask(effort="none"), reasoning_off=off)["thinkingConfig"] == {"thinkingLevel": "MINIMAL"}
    assert "thinkingConfig" not in config(reasoning="none")
    assert "thinkingConfig" not in config(ask(effort="none"), reasoning="none", effort_at=False)
    assert "thinkingConfig" not in config(effort_default="none")
    told = config(ask(thinking_tokens=512), effort_default="none")["thinkingConfig"]
    assert told == {"includeThoughts": True, "thinkingBudget": 512}
    hidden = {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}
    assert config(extra_body=hidden)["thinkingConfig"] == {"includeThoughts": False}


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("add", {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_tools_and_the_choice_among_them(choice: str, told: dict[str, Any]) -> None:
    sent = body(ask(tools=(ADD, Tool(name="now")), tool_choice=choice))
    assert sent["tools"] == [
        {
            "functionDeclarations": [
                {"name": "add", "description": "adds", "parametersJsonSchema": dict(ADD.parameters)},
                {"name": "now", "parametersJsonSchema": {"type": "object", "properties": {}}},
            ]
        }
    ]
    assert sent["toolConfig"] == {"functionCallingConfig": told}
    assert "toolConfig" not in body(ask(tools=(ADD,)))


def test_a_schema_for_the_answer_comes_with_its_media_type() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    sent = config(ask(answer_schema=schema))
    assert (sent["responseMimeType"], sent["responseJsonSchema"]) == ("application/json", schema)
    bare = config(ask(answer_schema=schema), structured="json_object")
    assert bare["responseMimeType"] == "application/json"
    assert "responseJsonSchema" not in bare


@pytest.mark.parametrize(
    ("request_", "quirks", "message"),
    [
        (ask(echo=True), {}, "openai_completions"),
        (ask(logprobs=0), {"logprobs": False}, "no log-probabilities"),
        (ask(tools=(ADD,)), {"tools": False}, "takes no tools"),
        (ask(tools=(ADD,), tool_choice="add"), {"tools": "auto"}, "cannot be made to call"),
        (ask(tools=(ADD,), tool_choice="ad"), {}, "none of the request's tools; did you mean 'add'"),
        (ask(stop=("a", "b")), {"stop_max": 1}, "2 stop sequences"),
        (ask(answer_schema={}), {"structured": False}, "takes no"),
        (ask(stop=tuple("abcdef")), {}, "6 stop sequences"),
        (ask(effort="none"), {"reasoning": "always"}, "always thinks"),
    ],
    ids=str,
)
def test_what_the_wire_cannot_carry_is_a_config_error(request_: Request, quirks: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        body(request_, **quirks)


def test_an_effort_in_the_requests_extra_holds_for_the_temperature() -> None:
    quirks = {"sampling": "when_none", "effort_default": "none"}
    assert config(**quirks)["temperature"] == 0.0
    high = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}
    assert "temperature" not in config(ask(extra=high), **quirks)


def test_quirks_take_things_out() -> None:
    sent = config(ask(seed=3, stop=("a",), logprobs=0), seed_field=False, stop_max=0, sampling="fixed")
    assert sent == {"maxOutputTokens": 256, "responseLogprobs": True, "thinkingConfig": {"includeThoughts": True}}
