"""Ollama's wire: its lines come out as the events they are, however they were cut; requests go in as documented."""

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold
from bench.errors import Broken, ConfigError, Garbled, RequestError, ServerFault
from bench.records import Endpoint, Message, Request, TokenLogprob, Tool, ToolCall
from bench.wires import Event, Timings, Usage, framing_of, listing_path, ollama

RECORDED = Path(__file__).parent / "wires"
FILES = sorted(RECORDED.glob("ollama.*.ndjson"))
ADD = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


def endpoint(**quirks: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url="http://x", wire="ollama", model="qwen3:8b", quirks=quirks)


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def recorded(name: str) -> bytes:
    return (RECORDED / f"ollama.{name}.ndjson").read_bytes()


def payloads(raw: bytes, cuts: list[int] | None = None) -> list[bytes]:
    framer = framing_of(ollama)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts or []), len(raw)]
    out = [p for a, b in pairwise(edges) for p in framer.feed(raw[a:b])]
    return out + framer.close()


def events(name: str) -> list[Event]:
    return [ollama.decode(payload) for payload in payloads(recorded(name))]


def folded(raw: bytes, cuts: list[int] | None = None, request: Request | None = None) -> tuple[Fold, dict[str, Any]]:
    """A whole stream through the fold, read by read; the stamps are the numbers of the reads."""
    fold = Fold(ollama, endpoint(), request or ask())
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts or []), len(raw)]
    fold.take((i + 1, raw[a:b]) for i, (a, b) in enumerate(pairwise(edges)))
    fold.close()
    return fold, fold.columns()


# ── lines ──


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=40), end=st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_lines_cut_anywhere_and_ended_in_any_way_are_the_same_lines(file: Path, cuts: list[int], end: bytes) -> None:
    lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
    assert payloads(end.join(lines) + end, cuts) == payloads(end.join(lines), cuts) == lines


def test_one_line_over_many_reads_and_many_lines_in_one_read() -> None:
    raw = recorded("plain")
    assert payloads(raw, list(range(len(raw)))) == payloads(raw) == raw.splitlines()
    assert len(payloads(raw)) == 5


# ── decoding ──


def test_a_plain_answer_has_text_model_usage_timings_and_an_end() -> None:
    out = events("plain")
    assert "".join(event.text for event in out) == "Grüße aus 東京 🙂."
    assert {event.model for event in out} == {"qwen3:8b"}
    assert [event.finish_reason for event in out] == [None] * 4 + ["stop"]
    assert [event.done for event in out] == [False] * 4 + [True]
    assert out[-1].usage == Usage(26, None, None, 5, None)
    # 1.2 s until the model was ready, 0.3 s for the prompt, 0.9 s for the answer.
    assert out[-1].timings == Timings(1200.0, 300.0, 900.0)


def test_thoughts_are_reasoning_and_start_no_answer() -> None:
    fold, row = folded(recorded("reasoning"), [120, 250, 360])
    assert (row["reasoning"], row["answer"], fold.finish_reason) == ("two and two", "4", "stop")
    assert row["first_token_ns"] < row["first_answer_ns"]
    assert folded(recorded("think_tag"))[1]["reasoning"] == "two and two"


def test_tool_calls_are_whole_and_those_of_later_lines_are_other_calls() -> None:
    fold, row = folded(recorded("tool_call"))
    assert row["tool_calls"] == (
        ToolCall(id="call_1", name="add", arguments='{"a": 2, "b": "é"}'),
        ToolCall(id=None, name="now", arguments="{}"),
        ToolCall(id=None, name="add", arguments='{"a": 3}'),
    )
    assert (row["chunks"], row["out_tokens"], fold.status()) == (2, 40, "ok")
    assert row["server_prefill_ms"] == 300.0


def test_a_length_stop_is_truncated_and_an_error_line_is_a_fault_of_the_server() -> None:
    assert folded(recorded("length"))[0].status() == "truncated"
    with pytest.raises(ServerFault, match="out of memory"):
        folded(recorded("error_in_band"))


@pytest.mark.parametrize("name", ["cut", "cut_in_line", "connection_closed"])
def test_a_stream_without_a_reason_for_its_end_was_cut(name: str) -> None:
    with pytest.raises(Broken, match=r"without a finish reason|inside an event"):
        folded(recorded(name))


@pytest.mark.parametrize(("code", "error"), [(429, "RateLimited"), (400, "Refused"), (503, "ServerFault")])
def test_the_status_beside_an_error_decides_if_asking_again_can_help(code: int, error: str) -> None:
    with pytest.raises(RequestError) as caught:
        folded(b'{"error":"upstream","status_code":%d}\n' % code)
    assert type(caught.value).__name__ == error
    assert ollama.decode(b'{"error":{"message":"x","code":5}}').error == {"message": "x", "code": 5}


def test_usage_is_found_wherever_it_stands_and_missing_usage_is_unknown() -> None:
    assert events("usage_cached")[-1].usage == Usage(29, 24, None, 2, None)
    assert events("usage_with_text")[0].usage == Usage(26, None, None, 1, None)
    assert events("usage_missing")[-1].usage is None
    assert events("usage_missing")[-1].timings is None
    assert folded(recorded("usage_missing"))[1].get("tokens_source") is None


def test_an_answer_from_elsewhere_says_from_where() -> None:
    assert folded(recorded("remote"))[1]["routed_provider"] == "https://ollama.com:443"
    assert folded(recorded("plain"))[1]["routed_provider"] is None


def test_log_probabilities_are_those_of_the_tokens_chosen() -> None:
    assert [pair for event in events("logprobs") for pair in event.logprobs] == [TokenLogprob(token="4", logprob=-0.25)]


def test_the_lines_of_a_raw_prompt_are_read_too() -> None:
    fold, row = folded(recorded("generate"))
    assert (row["answer"], row["in_tokens"], row["out_tokens"], fold.status()) == (" Paris", 6, 3, "ok")


def test_a_whole_answer_is_read_like_a_line() -> None:
    fold = Fold(ollama, endpoint(), ask())
    fold.expect_json()
    body = json.loads(recorded("usage_with_text"))
    fold.take([(7, json.dumps(body, indent=1).encode())])
    fold.close()
    assert (fold.columns()["answer"], fold.status(), fold.end_ns) == ("4", "ok", 7)


@pytest.mark.parametrize(
    "payload",
    [b"", b"no", b"[1]", b'{"message":3}', b'{"message":{"content":3}}', b'{"message":{"tool_calls":3}}',
     b'{"message":{"tool_calls":[3]}}', b'{"logprobs":[3]}', b'{"response":[]}'],
    ids=lambda payload: payload.decode(),
)  # fmt: skip
def test_what_is_not_the_wires_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        ollama.decode(payload)


WORDS = """message content thinking tool_calls function name arguments done done_reason error response logprobs token
logprob prompt_eval_count eval_count load_duration model remote_host status_code"""
KEYS = st.sampled_from(WORDS.split())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(value=st.dictionaries(KEYS, json_values, max_size=6))
def test_any_json_is_an_event_or_garbled_and_nothing_else(value: dict[str, Any]) -> None:
    with suppress(Garbled):
        assert isinstance(ollama.decoder(endpoint())(json.dumps(value).encode()), Event)


# ── encoding ──


def test_a_request_streams_and_is_refused_rather_than_cut_to_fit() -> None:
    out = ollama.encode(
        endpoint(),
        ask(
            prompt=None,
            messages=(Message(role="system", content="be brief"), Message(role="user", content="2+2?")),
            max_tokens=7,
            seed=3,
            stop=("\n",),
            logprobs=2,
            effort="high",
            answer_schema={"type": "object"},
            extra={"options": {"num_ctx": 8192}, "keep_alive": "1h"},
        ),
    )
    assert out.path == "/api/chat"
    assert out.body == {
        "model": "qwen3:8b",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_predict": 7, "temperature": 0.0, "seed": 3, "stop": ["\n"], "num_ctx": 8192},
        "format": {"type": "object"},
        "logprobs": True,
        "top_logprobs": 2,
        "think": "high",
        "keep_alive": "1h",
    }
    assert listing_path(ollama) == "/api/tags"


def test_a_plain_prompt_is_one_message_unless_it_is_wanted_raw() -> None:
    assert ollama.encode(endpoint(), ask()).body["messages"] == [{"role": "user", "content": "2+2="}]
    raw = ollama.encode(endpoint(), ask(extra={"raw": True}))
    assert (raw.path, raw.body["prompt"], raw.body["raw"]) == ("/api/generate", "2+2=", True)
    assert "messages" not in raw.body
    with pytest.raises(ConfigError, match="template"):
        ollama.encode(endpoint(), ask(prompt=None, messages=(Message(role="user", content="u"),), extra={"raw": True}))


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("off", False), ("on", True), ("low", "low"), ("max", "max")],
)
def test_effort_is_a_switch_or_a_level(effort: str, think: object) -> None:
    assert ollama.encode(endpoint(), ask(effort=effort)).body["think"] == think


def test_quirks_bend_the_body() -> None:
    assert "think" not in ollama.encode(endpoint(), ask()).body
    assert ollama.encode(endpoint(effort_words={"high": True}), ask(effort="high")).body["think"] is True
    always = endpoint(reasoning="always", reasoning_levels=["low", "medium", "high"])
    with pytest.raises(ConfigError, match="always thinks"):
        ollama.encode(always, ask(effort="none"))
    bent = ollama.encode(
        endpoint(sampling="fixed", seed_field=False, extra_body={"options": {"top_k": 1}}), ask(seed=1)
    )
    assert bent.body["options"] == {"num_predict": 256, "top_k": 1}


def test_tools_go_as_functions_and_a_call_cannot_be_forced() -> None:
    body = ollama.encode(endpoint(), ask(tools=(ADD,), tool_choice="auto")).body
    assert body["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": dict(ADD.parameters)}}
    ]
    assert "tools" not in ollama.encode(endpoint(), ask(tools=(ADD,), tool_choice="none")).body
    for choice in ("required", "add"):
        with pytest.raises(ConfigError, match="cannot force a tool call"):
            ollama.encode(endpoint(), ask(tools=(ADD,), tool_choice=choice))
    with pytest.raises(ConfigError, match="openai_completions"):
        ollama.encode(endpoint(), ask(echo=True))
