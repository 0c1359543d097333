"""Wires: recorded bytes come out as the events they are, however they were cut; requests go in as documented."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.errors import ConfigError, Garbled
from bench.records import Endpoint, Message, Request, TokenLogprob
from bench.wires import Event, Usage, names, openai_chat, openai_completions, wire
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
