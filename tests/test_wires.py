"""Wires: recorded bytes come out as the events they are, however they were cut; requests go in as documented."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.client.failures import in_band
from bench.client.fold import Fold
from bench.errors import ConfigError, Garbled, RateLimited, Refused, ServerFault
from bench.records import Endpoint, Message, Request, TokenLogprob, Tool, ToolCall
from bench.wires import Event, Timings, ToolDelta, Usage, decoder_of, names, openai_chat, openai_completions, wire
from bench.wires.finish import status_of
from bench.wires.sse import Framer

RECORDED = Path(__file__).parent / "wires"
FILES = sorted(RECORDED.glob("*.sse"))


def endpoint(wire_name: str = "openai_chat", **quirks: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url="http://x/v1", wire=wire_name, model="m", quirks=quirks)


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def payloads(raw: bytes, cuts: list[int] | None = None) -> list[bytes]:
    framer = Framer()
    ends = [*sorted(cut % (len(raw) + 1) for cut in cuts or []), len(raw)]
    out: list[bytes] = []
    start = 0
    for end in ends:
        out += framer.feed(raw[start:end])
        start = end
    return out + framer.close()


def events(name: str, cuts: list[int] | None = None) -> list[Event]:
    decode = wire(name.split(".")[0]).decode
    return [decode(payload) for payload in payloads((RECORDED / f"{name}.sse").read_bytes(), cuts)]


def heard(name: str, **quirks: Any) -> list[Event]:
    """Events as a stream's own decoder tells them."""
    decode = decoder_of(wire(name.split(".")[0]), endpoint(**quirks))
    return [decode(payload) for payload in payloads((RECORDED / f"{name}.sse").read_bytes())]


def folded(name: str, **quirks: Any) -> tuple[Fold, dict[str, Any]]:
    """Each event arrived 10 ns after the one before, the first at 10."""
    fold = Fold(wire(name.split(".")[0]), endpoint(name.split(".")[0], **quirks), ask())
    frames = (RECORDED / f"{name}.sse").read_bytes().split(b"\n\n")[:-1]
    fold.take((10 * n, frame + b"\n\n") for n, frame in enumerate(frames, start=1))
    fold.close()
    return fold, fold.columns()


# ── the registry ──


def test_every_wire_of_the_folder_is_found_has_both_functions_and_recorded_bytes() -> None:
    assert {"openai_chat", "openai_completions"} <= set(names())
    for name in names():
        assert callable(wire(name).encode)
        assert callable(wire(name).decode)
        assert any(RECORDED.glob(f"{name}.*")), f"{name} has no recorded bytes"


@pytest.mark.parametrize(
    ("wrong", "named"), [("openai_chatt", "openai_chat"), ("sse", ""), ("finish", ""), ("../errors", "")]
)
def test_an_unknown_wire_is_a_config_error_that_names_wires(wrong: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown wire .*; (did you mean|known:).*{named}"):
        wire(wrong)


# ── framing ──


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=40), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_of_a_recorded_stream_gives_the_same_payloads(file: Path, cuts: list[int], end: bytes) -> None:
    raw = file.read_bytes()
    assert payloads(raw.replace(b"\n", end), cuts) == payloads(raw)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12), max_size=6),
    st.lists(st.integers(0, 400), max_size=30),
)
@example(["a\u2028b\u0085c", ""], [1, 2])
def test_a_stream_split_at_every_byte_is_the_stream(texts: list[str], cuts: list[int]) -> None:
    raw = b"".join(b"data: %b\n\n" % text.encode() for text in texts)
    framer = Framer()
    bytewise = [p for i in range(len(raw)) for p in framer.feed(raw[i : i + 1])] + framer.close()
    assert bytewise == payloads(raw, cuts) == [text.encode() for text in texts if text]


def test_comments_other_fields_and_a_byte_order_mark_are_no_payloads() -> None:
    # An empty payload is some servers' heartbeat.
    raw = b"\xef\xbb\xbf: hello\n\nevent: x\nid: 3\ndata:one\nretry: 5\n\n:\n\ndata: two\ndata: lines\n\n\n\n"
    raw += b"data\n\ndata: \n\n"
    assert payloads(raw) == [b"one", b"two\nlines"]


def test_the_last_event_may_lack_its_empty_line_and_even_its_line_end() -> None:
    assert payloads(b"data: one\n\ndata: two\n") == payloads(b"data: one\n\ndata: two") == [b"one", b"two"]


def test_the_line_feed_of_a_crlf_cut_in_two_is_no_empty_line() -> None:
    framer = Framer()
    assert framer.feed(b"data: one\r") == []
    assert framer.feed(b"\ndata: two\r\n\r") == [b"one\ntwo"]
    assert framer.feed(b"\ndata: three\n\n") == [b"three"]


def test_an_error_object_without_its_data_prefix_is_a_payload() -> None:
    assert payloads(b'data: {"a":1}\n\n{"error":{"code":500}}\n') == [b'{"a":1}', b'{"error":{"code":500}}']


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: " + b"x" * 990 + b"\n"], ids=["a line", "an event"])
def test_a_frame_without_end_is_given_up_at_the_cap(piece: bytes) -> None:
    framer = Framer(max_frame_bytes=5000)
    for _ in range(5):
        framer.feed(piece[:-1])
    with pytest.raises(Garbled, match="larger than"):
        framer.feed(piece)


# ── decoding ──


def test_a_plain_answer_has_text_ids_usage_and_an_end() -> None:
    out = events("openai_chat.plain")
    assert "".join(event.text for event in out) == "Grüße aus 東京 🙂."
    assert out[0].text == ""
    assert (out[0].response_id, out[0].model, out[0].fingerprint) == ("chatcmpl-7", "m-2026-05-01", "fp_3")
    assert [event.finish_reason for event in out] == [None] * 5 + ["stop", None, None]
    assert out[-2].usage == Usage(9, 2, None, 4, 0)
    assert [event.done for event in out] == [False] * 7 + [True]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "parts"])
def test_reasoning_is_read_from_each_place_it_is_sent_in(name: str) -> None:
    out = events(f"openai_chat.{name}")
    assert "".join(event.reasoning for event in out) == "two and two"
    assert "".join(event.text for event in out) == "4"


def test_tool_calls_refusals_filters_and_lengths_are_told_apart() -> None:
    assert "".join(event.tool for event in events("openai_chat.tool_call")) == 'add{"a":2}'
    assert "".join(event.refusal for event in events("openai_chat.refusal")) == "I can't help."
    assert "content_filter" in [event.finish_reason for event in events("openai_chat.content_filter")]
    assert "length" in [event.finish_reason for event in events("openai_chat.length")]


def test_an_error_object_in_the_stream_is_an_error_event() -> None:
    (error,) = [event.error for event in events("openai_chat.error_in_band") if event.error]
    assert error["message"] == "CUDA out of memory"
    assert openai_chat.decode(b'{"error": "out of memory"}').error == {"message": "out of memory"}
    assert openai_chat.decode(b'{"error":{"message":"x"},"status_code":503}').error == {"message": "x", "code": 503}
    assert openai_chat.decode(b'{"object":"error","message":"x","code":40}').error is not None
    assert openai_chat.decode(b'{"detail":"not found"}').error is not None


def last_usage(name: str) -> Usage | None:
    return [event.usage for event in events(name) if event.usage][-1]


def test_usage_is_found_wherever_it_stands() -> None:
    assert last_usage("openai_chat.usage_on_finish") == Usage(9, 2, 3, 4, 0)
    assert last_usage("openai_chat.usage_every_chunk") == Usage(9, None, None, 2, None)
    assert last_usage("openai_chat.usage_before_finish") == Usage(9, 2, None, 4, 0)
    assert last_usage("openai_chat.usage_x_groq") == Usage(9, None, None, 1, None)


def test_reasoning_that_a_server_counts_apart_is_brought_inside_the_output() -> None:
    assert last_usage("openai_chat.usage_reasoning_apart") == Usage(9, None, None, 101, 100)
    assert last_usage("openai_chat.reasoning") == Usage(9, 2, None, 30, 27)


def test_billed_dollars_are_an_exact_decimal_string() -> None:
    billed = [event.provider_usd for event in events("openai_chat.usage_on_finish") if event.provider_usd]
    ticks = [event.provider_usd for event in events("openai_chat.usage_reasoning_apart") if event.provider_usd]
    assert (billed, ticks) == (["0.00012"], ["0.0037756000"])
    assert [event.routed_provider for event in events("openai_chat.usage_on_finish")][-2] == "Hoster"


def test_log_probabilities_of_both_wires_are_pairs_and_the_first_echoed_token_has_none() -> None:
    chat = [pair for event in events("openai_chat.logprobs") for pair in event.logprobs]
    echoed = [pair for event in events("openai_completions.echo_logprobs") for pair in event.logprobs]
    assert chat == [TokenLogprob(token="4", logprob=-0.25)]
    assert [(pair.token, pair.logprob) for pair in echoed] == [("The", None), (" sky", -1.5), (" is", -0.5)]


@pytest.mark.parametrize("name", ["openai_chat", "openai_completions"])
@pytest.mark.parametrize(
    "payload",
    [b"", b"no", b"{", b"[1]", b"3", b"\xff\xfe", b'{"choices":3}', b'{"choices":[3]}', b"[" * 100_000],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_is_not_the_wires_is_garbled(name: str, payload: bytes) -> None:
    with pytest.raises(Garbled):
        wire(name).decode(payload)


WORDS = """id choices delta message content text finish_reason usage logprobs tokens token_logprobs error tool_calls
function reasoning reasoning_details prompt_tokens completion_tokens cost x_groq refusal total_tokens"""
KEYS = st.sampled_from(WORDS.split())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["openai_chat", "openai_completions"])
@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(KEYS, json_values, max_size=5))
def test_any_json_is_an_event_or_garbled_and_nothing_else(name: str, value: dict[str, Any]) -> None:
    try:
        event = wire(name).decode(json.dumps(value).encode())
    except Garbled:
        return
    assert isinstance(event, Event)


# ── tool calls ──

TWO = (
    ToolCall(id="call_a", name="add", arguments='{"a":2}'),
    ToolCall(id="call_b", name="say", arguments='{"text":"東京"}'),
)


@pytest.mark.parametrize(("name", "chunks", "first_ns"), [("tool_calls_parallel", 5, 20), ("tool_calls_whole", 2, 20)])
def test_tool_calls_come_in_numbered_pieces_or_whole(name: str, chunks: int, first_ns: int) -> None:
    fold, row = folded(f"openai_chat.{name}")
    said = [json.loads(call.arguments) for call in row["tool_calls"]]
    assert said == [json.loads(call.arguments) for call in TWO]
    assert [(call.id, call.name) for call in row["tool_calls"]] == [(call.id, call.name) for call in TWO]
    assert (row["chunks"], row["first_token_ns"], row["first_answer_ns"]) == (chunks, first_ns, first_ns)
    assert (row["finish_reason"], fold.status(), row["answer"]) == ("tool_calls", "ok", "")


def test_two_calls_under_one_number_are_two_calls() -> None:
    _, row = folded("openai_chat.tool_calls_all_zero")
    assert row["tool_calls"] == (
        ToolCall(id="call_a", name="add", arguments='{"a":2}'),
        ToolCall(id="call_b", name="add", arguments='{"a":3}'),
    )


def test_a_call_of_the_old_kind_is_a_call_without_an_id() -> None:
    fold, row = folded("openai_chat.function_call")
    assert row["tool_calls"] == (ToolCall(id=None, name="add", arguments='{"a":2}'),)
    assert (row["finish_reason"], fold.status(), row["chunks"]) == ("function_call", "ok", 3)


def piece(**more: Any) -> bytes:
    return json.dumps({"choices": [{"delta": {"tool_calls": [more]}}]}).encode()


def test_pieces_without_a_number_go_to_the_call_of_their_id_or_to_the_last_one() -> None:
    decode = openai_chat.decoder(endpoint())
    pieces = [
        piece(id="a", function={"name": "add", "arguments": "{"}),
        piece(function={"arguments": "}"}),
        piece(id="b", function={"name": "add"}),
        piece(id="a", function={"arguments": " "}),
        piece(function={"name": "say", "arguments": None}),
    ]
    assert [decode(one).tool_calls for one in pieces] == [
        (ToolDelta(0, "a", "add", "{"),),
        (ToolDelta(0, None, "", "}"),),
        (ToolDelta(1, "b", "add", ""),),
        (ToolDelta(0, "a", "", " "),),
        (ToolDelta(2, None, "say", ""),),
    ]


def test_a_piece_of_a_call_without_text_is_no_token() -> None:
    event = openai_chat.decode(piece(index=0, id="a", function={"arguments": ""}))
    assert (event.tool, event.tool_calls) == ("", (ToolDelta(0, "a"),))


@pytest.mark.parametrize(
    "calls", [3, [3], [{"function": 3}], [{"function": {"name": 3}}], [{"function": {"name": {}}}]]
)
def test_tool_calls_that_are_none_are_garbled(calls: Any) -> None:
    with pytest.raises(Garbled):
        openai_chat.decode(json.dumps({"choices": [{"delta": {"tool_calls": calls}}]}).encode())


# ── what providers add ──


def test_the_message_so_far_beside_the_piece_is_never_told_twice() -> None:
    fold, row = folded("openai_chat.message_beside_delta", output_excludes_reasoning=True)
    assert (row["answer"], row["chunks"], fold.status()) == ("Grüße", 2, "ok")
    # 3 said, 100 thought, 50 cited: all billed as output.
    assert (row["in_tokens"], row["out_tokens"], row["reasoning_tokens"]) == (9, 153, 100)
    assert row["provider_usd"] == "0.0052"
    old = json.loads('{"object":"chat.completion","choices":[{"delta":{"content":"a"},"message":{"content":"a"}}]}')
    decode = openai_chat.decoder(endpoint())
    assert decode(json.dumps(old).encode()).text == "a"
    old["choices"][0] = {"delta": {"content": ""}, "message": {"content": "a"}, "finish_reason": "stop"}
    assert decode(json.dumps(old).encode()).text == ""


def test_a_whole_answer_is_read_even_with_an_empty_piece_beside_it() -> None:
    whole = {"object": "chat.completion", "choices": [{"delta": {"role": "assistant", "content": ""}}]}
    whole["choices"][0] |= {"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}  # type: ignore[operator,index]
    event = openai_chat.decode(json.dumps(whole).encode())
    assert (event.text, event.finish_reason) == ("4", "stop")


@pytest.mark.parametrize("quirks", [{}, {"output_excludes_reasoning": True}])
def test_reasoning_counted_apart_is_added_once_whoever_says_so(quirks: dict[str, Any]) -> None:
    _, row = folded("openai_chat.usage_reasoning_apart", **quirks)
    assert (row["out_tokens"], row["reasoning_tokens"]) == (101, 100)


def test_a_status_of_minimax_other_than_zero_is_an_error_though_http_said_200() -> None:
    assert [event.error for event in heard("openai_chat.base_resp_zero")] == [None, None]
    error = heard("openai_chat.error_base_resp")[-1].error
    assert error == {"message": "rate limit exceeded(RPM)", "code": 429, "type": "1002"}
    assert isinstance(in_band(error), RateLimited)

    def kind(code: int) -> type[Exception]:
        chunk = {"base_resp": {"status_code": code, "status_msg": "x"}}
        return type(in_band(openai_chat.decode(json.dumps(chunk).encode()).error or {}))

    assert kind(1008) is Refused
    assert kind(2049) is Refused
    assert kind(1000) is ServerFault


def test_an_error_that_groq_tells_in_its_own_field_is_an_error() -> None:
    assert heard("openai_chat.error_x_groq")[-2].error == {"message": "over capacity"}


@pytest.mark.parametrize(
    ("name", "timings"),
    [
        ("groq", Timings(250.0, 2.0, 15.5)),
        ("cerebras", Timings(0.5, 1.0, 250.0)),
        ("llama_cpp", Timings(None, 12.5, 40.25)),
        ("vllm", Timings(250.0, 500.0, 1000.0)),
    ],
)
def test_the_servers_own_times_are_milliseconds_whoever_tells_them(name: str, timings: Timings) -> None:
    _, row = folded(f"openai_chat.timings_{name}")
    assert (row["server_queue_ms"], row["server_prefill_ms"], row["server_decode_ms"]) == tuple(timings)


def test_times_that_make_no_sense_are_unknown() -> None:
    for times in ({"queue_time": -1}, {"queue_time": "soon"}, {"queue_time": True}, {}):
        assert openai_chat.decode(json.dumps({"usage": times}).encode()).timings is None


def test_the_tier_that_served_it_is_told() -> None:
    assert folded("openai_chat.timings_groq")[1]["service_tier"] == "on_demand"
    assert openai_chat.decode(b'{"usage":{"service_tier":"batch"}}').service_tier == "batch"
    assert folded("openai_completions.usage_on_finish")[1]["service_tier"] == "flex"


def test_the_host_that_a_router_chose_is_told_by_name_or_in_its_list() -> None:
    _, row = folded("openai_chat.route_openrouter")
    assert (row["routed_provider"], row["provider_usd"], row["service_tier"]) == ("Second", "0.000012", "priority")
    for odd in ("3", "[]", '[{"selected":false,"provider":"x"}]', '[{"selected":true}]', "[3]"):
        raw = '{"openrouter_metadata":{"endpoints":{"available":ODD}}}'.replace("ODD", odd)
        assert openai_chat.decode(raw.encode()).routed_provider is None


@pytest.mark.parametrize("wire_name", ["openai_chat", "openai_completions"])
def test_cost_and_route_are_read_where_the_quirks_say(wire_name: str) -> None:
    quirks = {"cost_at": "billing.nano_usd", "cost_scale": 1e-9, "route_at": "billing.node"}
    decode = decoder_of(wire(wire_name), endpoint(wire_name, **quirks))
    told = [decode(p) for p in payloads((RECORDED / "openai_chat.cost_elsewhere.sse").read_bytes())]
    assert [event.provider_usd for event in told if event.provider_usd] == ["0.000000042"]
    assert [event.routed_provider for event in told if event.routed_provider] == ["node-7"]
    plain = payloads((RECORDED / "openai_chat.cost_elsewhere.sse").read_bytes())
    assert not any(wire(wire_name).decode(p).provider_usd for p in plain)
    # Where the quirk's place is empty, what is found elsewhere still counts.
    assert decode(b'{"provider":"P","usage":{"cost":0.5}}')[11:13] == ("P", "0.5")


def test_usage_inside_a_choice_is_found() -> None:
    assert last_usage("openai_chat.usage_in_choice") == Usage(9, 2, None, 1, None)


@pytest.mark.parametrize("wire_name", ["openai_chat", "openai_completions"])
@pytest.mark.parametrize("quirks", [{}, {"cost_at": "bill.usd", "route_at": "bill.by"}], ids=["plain", "bent"])
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "bc", " x", "", "é", '"']),
            st.fixed_dictionaries(
                {},
                optional={
                    "service_tier": st.sampled_from(["default", "flex"]),
                    "provider": st.sampled_from(["P", "Q"]),
                    "usage": st.sampled_from([{"completion_tokens": 1}, {"completion_tokens": 2, "queue_time": 1}]),
                    "timings": st.sampled_from([{"prompt_ms": 1}, {"prompt_ms": 2}]),
                    "bill": st.sampled_from([{"usd": 1, "by": "m"}, {"usd": 2, "by": "n"}]),
                    "model": st.sampled_from(["m", "n"]),
                    "delta": st.sampled_from(
                        [
                            {"reasoning": "r"},
                            {"refusal": "no"},
                            {"tool_calls": [{"index": 0, "function": {"name": "f"}}]},
                        ]
                    ),
                },
            ),
        ),
        max_size=24,
    )
)
def test_the_fast_way_through_a_stream_hides_nothing_that_changes(
    wire_name: str, quirks: dict[str, Any], stream: list[tuple[str, dict[str, Any]]]
) -> None:
    def frame(text: str, more: dict[str, Any]) -> bytes:
        top = {name: value for name, value in more.items() if name != "delta"}
        delta = {"content": text, **more.get("delta", {})}
        choice = {"delta": delta} if wire_name == "openai_chat" else {"text": text}
        return b"data: " + json.dumps({"id": "c", "choices": [choice], **top}, ensure_ascii=False).encode() + b"\n\n"

    def row(*, fast: bool) -> dict[str, Any]:
        fold = Fold(wire(wire_name), endpoint(wire_name, **quirks), ask())
        if not fast:
            fold._pattern.text_of = lambda _: ""  # type: ignore[method-assign]
        fold.take((n, frame(*one)) for n, one in enumerate(stream))
        return fold.columns()

    assert row(fast=True) == row(fast=False)


# ── ends of the completions wire ──


def test_the_completions_wire_tells_its_ends_apart() -> None:
    ends = {name: folded(f"openai_completions.{name}")[0].status() for name in ("length", "content_filter", "plain")}
    assert ends == {"length": "truncated", "content_filter": "filtered", "plain": "ok"}
    fold, row = folded("openai_completions.think_tag")
    assert (row["reasoning"], row["answer"], row["first_token_ns"], row["first_answer_ns"]) == (
        "two and two",
        "4",
        10,
        40,
    )
    assert (fold.end_ns, row["out_tokens"]) == (50, 9)
    (error,) = [event.error for event in events("openai_completions.error_in_band") if event.error]
    assert error["code"] == 500


def test_usage_of_the_completions_wire_is_found_wherever_it_stands() -> None:
    assert last_usage("openai_completions.plain") == Usage(3, None, None, 2, None)
    assert last_usage("openai_completions.usage_on_finish") == Usage(3, 1, None, 2, None)
    assert last_usage("openai_completions.usage_every_chunk") == Usage(3, None, None, 2, None)


def test_text_may_come_with_the_end_and_the_servers_times() -> None:
    fold, row = folded("openai_completions.text_with_finish")
    assert (row["answer"], row["last_token_ns"], fold.end_ns, row["chunks"]) == ("4 2", 20, 20, 2)
    assert (row["server_queue_ms"], row["server_prefill_ms"], row["server_decode_ms"]) == (0.0, 5.5, 1.25)


def test_finish_reasons_have_the_status_of_the_table_and_an_unknown_one_has_none() -> None:
    assert {status_of(value) for value in ("stop", "eos", "tool_calls", "STOP", "end_turn")} == {"ok"}
    assert {status_of(value) for value in ("length", "max_tokens", "MAX_TOKENS", "repetition")} == {"truncated"}
    assert {status_of(value) for value in ("content_filter", "SAFETY", "IMAGE_SAFETY", "sensitive")} == {"filtered"}
    assert {status_of(value) for value in ("error", "abort", "network_error")} == {"http_error"}
    assert status_of("refusal") == "refused"
    assert status_of("") is status_of("because") is None


# ── encoding ──


def test_a_chat_request_streams_with_usage_and_carries_what_was_asked() -> None:
    out = openai_chat.encode(
        endpoint(),
        ask(
            prompt=None,
            messages=(Message(role="system", content="be brief"), Message(role="user", content="2+2?")),
            max_tokens=7,
            seed=3,
            stop=("\n",),
            logprobs=2,
            extra={"reasoning_effort": "low"},
        ),
    )
    assert out.path == "/chat/completions"
    assert out.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}],
        "max_tokens": 7,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["\n"],
        "logprobs": True,
        "top_logprobs": 2,
        "stream": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
    }


def test_quirks_bend_the_body() -> None:
    bent = endpoint(
        cap_field="max_completion_tokens",
        sampling="fixed",
        seed_field=False,
        stop_max=0,
        stream_options=False,
        system_role="developer",
        extra_body={"store": False},
    )
    request = ask(
        seed=1, stop=("x",), messages=(Message(role="system", content="s"), Message(role="user", content="u"))
    )
    assert openai_chat.encode(bent, request).body == {
        "model": "m",
        "max_completion_tokens": 256,
        "stream": True,
        "store": False,
        "messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}],
    }
    assert openai_chat.encode(endpoint(seed_field="random_seed"), ask(seed=1)).body["random_seed"] == 1
    merged = openai_chat.encode(endpoint(system_role="user"), request).body["messages"]
    assert merged == [{"role": "user", "content": "s\n\nu"}]


def test_a_model_that_samples_only_without_reasoning_gets_a_temperature_only_then() -> None:
    when_none = endpoint(sampling="when_none")
    assert "temperature" not in openai_chat.encode(when_none, ask()).body
    assert openai_chat.encode(when_none, ask(extra={"reasoning_effort": "none"})).body["temperature"] == 0.0


def test_a_completions_request_carries_prompt_echo_and_logprobs() -> None:
    out = openai_completions.encode(endpoint("openai_completions"), ask(echo=True, logprobs=1, max_tokens=0))
    assert out.path == "/completions"
    assert {key: out.body[key] for key in ("prompt", "echo", "logprobs", "max_tokens")} == {
        "prompt": "2+2=",
        "echo": True,
        "logprobs": 1,
        "max_tokens": 0,
    }


def test_what_a_wire_cannot_carry_is_a_config_error_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="openai_completions"):
        openai_chat.encode(endpoint(), ask(echo=True))
    with pytest.raises(ConfigError, match="openai_chat"):
        openai_completions.encode(endpoint(), ask(prompt=None, messages=(Message(role="user", content="u"),)))
    with pytest.raises(ConfigError, match="3 stop sequences"):
        openai_chat.encode(endpoint(stop_max=2), ask(stop=("a", "b", "c")))


# ── tools and schemas ──

CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = (Tool(name="add", description="adds", parameters=CLOSED), Tool(name="say", parameters=OPEN))


def chat_body(quirks: Any = None, **more: Any) -> dict[str, Any]:
    return openai_chat.encode(endpoint(**(quirks or {})), ask(**more)).body


def test_tools_and_which_must_be_called_go_in_as_documented() -> None:
    body = chat_body(tools=TOOLS)
    assert body["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "adds", "parameters": CLOSED}},
        {"type": "function", "function": {"name": "say", "parameters": OPEN}},
    ]
    assert "tool_choice" not in body
    for word in ("auto", "none", "required"):
        assert chat_body(tools=TOOLS, tool_choice=word)["tool_choice"] == word
    assert chat_body(tools=TOOLS, tool_choice="say")["tool_choice"] == {"type": "function", "function": {"name": "say"}}
    assert chat_body({"tools": "auto"}, tools=TOOLS, tool_choice="auto")["tool_choice"] == "auto"
    assert chat_body({"tools": False})["stream"] is True


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({"type": "object"}, False),
        ({**CLOSED, "properties": {"a": OPEN}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, OPEN]}}}, False),
        ({"type": "array", "items": {"type": "string"}}, True),
    ],
)
def test_a_schema_is_strict_where_openai_would_take_it_so(schema: dict[str, Any], strict: bool) -> None:
    assert chat_body(answer_schema=schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def test_a_server_that_only_knows_json_is_asked_for_json() -> None:
    assert chat_body({"structured": "json_object"}, answer_schema=OPEN)["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("quirks", "more", "said"),
    [
        ({"tools": False}, {"tools": TOOLS}, "takes no tools"),
        ({"tools": "auto"}, {"tools": TOOLS, "tool_choice": "add"}, "cannot be made to call"),
        ({"tools": "auto"}, {"tools": TOOLS, "tool_choice": "required"}, "cannot be made to call"),
        ({}, {"tools": TOOLS, "tool_choice": "sya"}, "did you mean 'say'"),
        ({}, {"tool_choice": "required"}, "the request has none"),
        ({"structured": False}, {"answer_schema": OPEN}, "takes no answer_schema"),
    ],
)
def test_a_shape_that_a_target_does_not_take_is_a_config_error(quirks: Any, more: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chat_body(quirks, **more)


@pytest.mark.parametrize("more", [{"tools": TOOLS}, {"answer_schema": OPEN}])
def test_the_completions_wire_takes_neither_tools_nor_schemas(more: Any) -> None:
    with pytest.raises(ConfigError, match="no tools and no answer_schema"):
        openai_completions.encode(endpoint("openai_completions"), ask(**more))


def test_pieces_of_a_second_answer_are_left_out() -> None:
    chunks = [
        {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": ""}]},
    ]
    events = [openai_chat.decode(json.dumps(chunk).encode()) for chunk in chunks]
    assert [(event.text, event.finish_reason) for event in events] == [("", None), ("A", None), ("", None)]


def test_two_whole_calls_that_are_both_numbered_0_stay_two() -> None:
    decode = openai_chat.decoder(endpoint())
    calls = [
        decode(json.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}).encode()).tool_calls[0]
        for piece in (
            {"index": 0, "function": {"name": "a", "arguments": "{}"}},
            {"index": 0, "function": {"name": "b", "arguments": '{"x":'}},
            {"index": 0, "function": {"name": "b", "arguments": "1}"}},
        )
    ]
    assert [call.slot for call in calls] == [0, 1, 1]


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, "0.02"),
        ({"cost": 0, "is_byok": True}, None),
        ({"cost": 0.01, "is_byok": False}, "0.01"),
        ({"cost": -5}, None),
    ],
)
def test_what_a_router_bills_holds_what_the_provider_behind_it_bills(usage: dict[str, Any], usd: str | None) -> None:
    event = openai_chat.decode(json.dumps({"choices": [], "usage": usage}).encode())
    assert event.provider_usd == usd


def test_tools_that_a_model_takes_only_without_thoughts_are_refused_with_them() -> None:
    only = endpoint(tools="when_none", effort_default="medium")
    ask = {"request_id": "r", "request_key": "k", "prompt": "q", "tools": (Tool(name="f"),)}
    with pytest.raises(ConfigError, match="only with reasoning_effort = 'none'"):
        openai_chat.encode(only, Request(**ask))  # type: ignore[arg-type]
    body = openai_chat.encode(only, Request(**ask, effort="none")).body  # type: ignore[arg-type]
    assert body["tools"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("wire", [openai_chat, openai_completions])
def test_log_probabilities_that_a_target_cannot_give_are_refused(wire: Any) -> None:
    asked = Request(request_id="r", request_key="k", prompt="q", logprobs=1)
    with pytest.raises(ConfigError, match="gives no log-probabilities"):
        wire.encode(endpoint(logprobs=False), asked)
    assert "logprobs" in wire.encode(endpoint(), asked).body
