"""Bedrock's wire: frames are checked and cut as AWS's own reader does it, and say what they say; requests go in as
documented."""

import json
import random
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.fold import Fold
from bench.errors import Broken, ConfigError, Garbled, RateLimited, Refused, RequestError, ServerFault
from bench.records import Endpoint, Message, Request, Tool, ToolCall
from bench.wires import Event, Usage, bedrock, framing_of, listing_path
from bench.wires.eventstream import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, Frames

RECORDED = Path(__file__).parent / "wires"
FILES = sorted(RECORDED.glob("bedrock.*.bin"))
ADD = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


def frame(payload: bytes, *headers: tuple[str, int, bytes]) -> bytes:
    """One frame by the book; a header is (name, type, value as it stands in the frame)."""
    named = [(name.encode(), pack(">B", kind) + value) for name, kind, value in headers]
    block = b"".join(pack(">B", len(name)) + name + value for name, value in named)
    lengths = pack(">II", 16 + len(block) + len(payload), len(block))
    whole = lengths + pack(">I", crc32(lengths)) + block + payload
    return whole + pack(">I", crc32(whole))


def text_header(name: str, text: str) -> tuple[str, int, bytes]:
    return name, 7, pack(">H", len(text.encode())) + text.encode()


def said(kind: str, body: object, message_type: str = "event") -> bytes:
    """An event (or `exception`) as Bedrock writes it."""
    return frame(
        json.dumps(body, ensure_ascii=False).encode(),
        text_header(f":{message_type}-type", kind),
        text_header(":content-type", "application/json"),
        text_header(":message-type", message_type),
    )


def endpoint(**quirks: Any) -> Endpoint:
    return Endpoint(target_id="t", base_url="http://x", wire="bedrock", model="anthropic.m-v1:0", quirks=quirks)


def ask(**more: Any) -> Request:
    return Request(request_id="r", request_key="k", **{"prompt": "2+2=", **more})


def recorded(name: str) -> bytes:
    return (RECORDED / f"bedrock.{name}.bin").read_bytes()


def payloads(raw: bytes, cuts: list[int] | None = None) -> list[bytes]:
    framing = framing_of(bedrock)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts or []), len(raw)]
    return [p for a, b in pairwise(edges) for p in framing.feed(raw[a:b])] + framing.close()


def folded(raw: bytes, cuts: list[int] | None = None) -> tuple[Fold, dict[str, Any]]:
    """A whole stream through the fold, read by read; the stamps are the numbers of the reads."""
    fold = Fold(bedrock, endpoint(), ask())
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts or []), len(raw)]
    fold.take((i + 1, raw[a:b]) for i, (a, b) in enumerate(pairwise(edges)))
    fold.close()
    return fold, fold.columns()


# ── frames ──


def test_the_published_frames_are_read() -> None:
    # Samples that the codecs of several languages are tested with.
    payload = b'{"foo": "bar"}'
    bare = bytes([0, 0, 0, 30, 0, 0, 0, 0, 186, 242, 246, 138, *payload, 174, 114, 88, 228])
    header = [12, *b"content-type", 7, 0, 16, *b"application/json"]
    headed = bytes([0, 0, 0, 62, 0, 0, 0, 32, 64, 93, 249, 70, *header, *payload, 111, 162, 191, 59])
    first, second = Frames().feed(bare + headed)
    assert (first.headers, first.payload) == ({}, b'{"foo": "bar"}')
    assert (second.headers, second.payload) == ({"content-type": "application/json"}, b'{"foo": "bar"}')


def some_frame(dice: random.Random) -> bytes:
    """A frame with headers of all ten types."""
    raw = dice.randbytes(dice.randint(0, 50))
    some = [
        (0, b""), (1, b""), (2, dice.randbytes(1)), (3, dice.randbytes(2)), (4, dice.randbytes(4)),
        (5, dice.randbytes(8)), (8, dice.randbytes(8)), (9, dice.randbytes(16)),
        (6, pack(">H", len(raw)) + raw),
        (7, text_header("", "née 🙂 " * dice.randint(0, 4))[2]),
    ]  # fmt: skip
    chosen = dice.sample(some, dice.randint(0, len(some)))
    names = [f":h{number}" + "é" * dice.randint(0, 2) for number in range(len(chosen))]
    payload = dice.randbytes(dice.choice([0, 1, 30, 300, 5000]))
    return frame(payload, *[(name, kind, value) for name, (kind, value) in zip(names, chosen, strict=True)])


def read_by_us(raw: bytes, cuts: list[int]) -> list[tuple[dict[str, Any], bytes]]:
    frames, edges = Frames(), [0, *cuts, len(raw)]
    return [(dict(f.headers), f.payload) for a, b in pairwise(edges) for f in frames.feed(raw[a:b])]


def test_thousands_of_random_frames_cut_anywhere_are_read_as_awss_own_reader_reads_them() -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    dice, read = random.Random(4), 0
    for _ in range(400):
        raw = b"".join(some_frame(dice) for _ in range(dice.randint(1, 12)))
        cuts = sorted(dice.sample(range(len(raw)), min(len(raw), dice.randint(0, 30))))
        theirs = eventstream.EventStreamBuffer()
        theirs.add_data(raw)
        wanted = [(message.headers, message.payload) for message in theirs]
        assert read_by_us(raw, cuts) == wanted
        read += len(wanted)
    assert read > 2000


def test_a_flipped_bit_is_always_seen() -> None:
    dice = random.Random(5)
    for _ in range(1500):
        raw = bytearray(some_frame(dice))
        bit = dice.randrange(len(raw) * 8)
        raw[bit // 8] ^= 1 << bit % 8
        cuts = sorted(dice.sample(range(len(raw)), dice.randint(0, min(10, len(raw)))))
        with pytest.raises(Garbled, match="checksum"):
            read_by_us(bytes(raw), cuts)


def test_lengths_that_no_frame_has_are_refused_before_anything_is_kept() -> None:
    def prelude(total: int, n_headers: int) -> bytes:
        lengths = pack(">II", total, n_headers)
        return lengths + pack(">I", crc32(lengths))

    too_much = MAX_PAYLOAD_BYTES + 17
    for total, n_headers in ((15, 0), (0, 0), (30, 15), (too_much, 0), (2**32 - 1, 0), (1 << 20, MAX_HEADER_BYTES + 1)):
        with pytest.raises(Garbled, match="impossible lengths"):
            Frames().feed(prelude(total, n_headers))
    assert Frames().feed(prelude(too_much - 1, 0)) == []


@pytest.mark.parametrize(
    "headers",
    [
        [("a", 10, b"")], [("a", 7, b"\0\5ab")], [("a", 4, b"\0")], [("a", 7, b"\0\1\xff")], [("a", 7, b"\0")],
        [("a", 0, b""), ("a", 1, b"")],
    ],
)  # fmt: skip
def test_headers_that_cannot_be_read_are_garbled(headers: list[tuple[str, int, bytes]]) -> None:
    with pytest.raises(Garbled, match="header"):
        Frames().feed(frame(b"{}", *headers))


def test_a_page_instead_of_frames_is_garbled() -> None:
    with pytest.raises(Garbled, match="no event stream"):
        Frames().feed(b"<html><body>502 Bad Gateway</body></html>")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=40))
def test_any_split_of_a_recorded_stream_gives_the_same_payloads(file: Path, cuts: list[int]) -> None:
    assert payloads(file.read_bytes(), cuts) == payloads(file.read_bytes())


# ── decoding ──


def test_a_plain_answer_has_text_usage_tier_and_an_end() -> None:
    fold, row = folded(recorded("plain"))
    assert (row["answer"], fold.finish_reason, fold.status()) == ("Grüße aus 東京 🙂.", "end_turn", "ok")
    assert [row[name] for name in ("in_tokens", "in_cached_tokens", "in_cache_write_tokens", "out_tokens")] == [
        9, None, None, 6,
    ]  # fmt: skip
    assert (row["service_tier"], row["chunks"], row["reasoning"]) == ("default", 4, None)


def test_the_input_is_what_the_cache_gave_and_took_and_the_rest() -> None:
    _, row = folded(recorded("cached"))
    assert [row[name] for name in ("in_tokens", "in_cached_tokens", "in_cache_write_tokens", "out_tokens")] == [
        9 + 1000 + 200, 1000, 200, 1,
    ]  # fmt: skip
    assert (row["service_tier"], row["response_model"]) == ("priority", "arn:aws:bedrock:eu-west-1::foundation-model/m")


def test_thoughts_are_reasoning_and_signatures_no_tokens() -> None:
    fold, row = folded(recorded("reasoning"))
    assert (row["reasoning"], row["answer"], row["chunks"]) == ("two and two", "4", 3)
    assert fold.status() == "ok"


def test_pieces_of_a_tool_call_are_joined_by_their_block() -> None:
    fold, row = folded(recorded("tool_call"))
    assert row["tool_calls"] == (
        ToolCall(id="tooluse_1", name="add", arguments='{"a": 2, "b": "é"}'),
        ToolCall(id="tooluse_2", name="now", arguments=""),
    )
    assert (row["answer"], fold.finish_reason, fold.status()) == ("I add.", "tool_use", "ok")


@pytest.mark.parametrize(
    ("name", "status"), [("length", "truncated"), ("content_filtered", "filtered"), ("guardrail", "filtered")]
)
def test_ends_that_are_not_the_models_own_are_told_apart(name: str, status: str) -> None:
    assert folded(recorded(name))[0].status() == status


def test_a_malformed_call_is_no_answer() -> None:
    with pytest.raises(Garbled, match="malformed_tool_use"):
        folded(said("messageStop", {"stopReason": "malformed_tool_use"}))[0].status()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttlingException", RateLimited),
        ("ThrottlingException", RateLimited),
        ("modelStreamErrorException", ServerFault),
        ("internalServerException", ServerFault),
        ("serviceUnavailableException", ServerFault),
        ("validationException", Refused),
        ("accessDeniedException", Refused),
        ("somethingNewException", ServerFault),
    ],
)
def test_an_exception_among_the_frames_is_the_error_it_would_be_as_a_status(
    kind: str, error: type[RequestError]
) -> None:
    raw = said("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "one"}})
    with pytest.raises(error, match=f"{kind}.*Try later") as caught:
        folded(raw + said(kind, {"message": "Try later"}, "exception"))
    assert type(caught.value) is error


def test_an_error_frame_without_a_payload_and_an_exception_without_json_are_errors_too() -> None:
    bare = frame(
        b"",
        text_header(":message-type", "error"),
        text_header(":error-code", "InternalError"),
        text_header(":error-message", "An internal server error occurred"),
    )
    with pytest.raises(ServerFault, match="InternalError An internal server error occurred"):
        folded(bare)
    text = frame(
        b"\xff no JSON", text_header(":message-type", "exception"), text_header(":exception-type", "xException")
    )
    with pytest.raises(ServerFault, match=r"xException.*no JSON"):
        folded(text)


@pytest.mark.parametrize("at", [1, 40, 300, -1])
def test_a_stream_that_ends_inside_or_between_frames_was_cut(at: int) -> None:
    raw = recorded("cut")
    with pytest.raises(Broken, match="without a finish reason"):
        folded(raw if at < 0 else raw[:at])


def test_a_whole_answer_is_read_too() -> None:
    body = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "two", "signature": "s"}}},
                    {"text": "4"},
                    {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 2}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14},
        "metrics": {"latencyMs": 300},
        "performanceConfig": {"latency": "optimized"},
    }
    fold = Fold(bedrock, endpoint(), ask())
    fold.expect_json()
    fold.take([(7, json.dumps(body).encode())])
    fold.close()
    row = fold.columns()
    assert (row["answer"], row["reasoning"], row["out_tokens"], row["service_tier"]) == ("4", "two", 5, "optimized")
    assert row["tool_calls"] == (ToolCall(id="t1", name="add", arguments='{"a": 2}'),)


@pytest.mark.parametrize(
    "payload",
    [b"", b"no", b"[1]", b'{"contentBlockDelta":3}', b'{"contentBlockDelta":{"delta":{"text":3}}}',
     b'{"messageStop":[]}', b'{"output":{"message":{"content":3}}}', b'{"exception":"x","said":3}'],
    ids=lambda payload: payload.decode(),
)  # fmt: skip
def test_what_is_not_the_wires_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        bedrock.decode(payload)


def test_a_frame_whose_payload_is_no_json_is_garbled() -> None:
    for payload in (b"no", b"{", b'{"delta":{}} {"x":1}'):
        with pytest.raises(Garbled):
            folded(frame(payload, text_header(":event-type", "contentBlockDelta")))


WORDS = """contentBlockDelta contentBlockStart messageStop metadata delta start text reasoningContent toolUse input name
toolUseId contentBlockIndex stopReason usage inputTokens outputTokens output message content exception said trace"""
KEYS = st.sampled_from(WORDS.split())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(value=st.dictionaries(KEYS, json_values, max_size=5))
def test_any_json_is_an_event_or_garbled_and_nothing_else(value: dict[str, Any]) -> None:
    with suppress(Garbled):
        assert isinstance(bedrock.decode(json.dumps(value).encode()), Event)


# ── encoding ──


def test_a_request_carries_what_was_asked_and_the_model_in_its_path() -> None:
    out = bedrock.encode(
        endpoint(seed_field="additionalModelRequestFields.seed"),
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
            effort="high",
            answer_schema={"type": "object"},
            tools=(ADD,),
            extra={"serviceTier": {"type": "flex"}, "inferenceConfig": {"topP": 0.5}},
        ),
    )
    assert out.path == "/model/anthropic.m-v1%3A0/converse-stream"
    assert out.body == {
        "messages": [
            {"role": "user", "content": [{"text": "2+2?"}]},
            {"role": "assistant", "content": [{"text": "4"}]},
            {"role": "user", "content": [{"text": "3+3?"}]},
        ],
        "system": [{"text": "be brief"}],
        "inferenceConfig": {"maxTokens": 7, "temperature": 0.0, "stopSequences": ["\n"], "topP": 0.5},
        "additionalModelRequestFields": {"seed": 3},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "add", "description": "Adds.", "inputSchema": {"json": dict(ADD.parameters)}}}
            ]
        },
        "outputConfig": {
            "effort": "high",
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"name": "answer", "schema": '{"type": "object"}'}},
            },
        },
        "serviceTier": {"type": "flex"},
    }


def test_an_arn_is_one_part_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:123:inference-profile/us.m-v1:0"
    profile = Endpoint(target_id="t", base_url="http://x", wire="bedrock", model=arn)
    assert bedrock.encode(profile, ask()).path == (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123%3Ainference-profile%2Fus.m-v1%3A0/converse-stream"
    )


def test_each_family_is_told_how_to_think_in_its_own_words() -> None:
    def told(request: Request, **quirks: Any) -> Any:
        return bedrock.encode(endpoint(**quirks), request).body.get("additionalModelRequestFields")

    budget = ask(thinking_tokens=2048, max_tokens=4096)
    assert told(budget) == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert told(ask(effort="low"), effort_at="additionalModelRequestFields.reasoning_effort") == {
        "reasoning_effort": "low"
    }
    nova: dict[str, Any] = {
        "effort_at": "additionalModelRequestFields.reasoningConfig.maxReasoningEffort",
        "effort_on": {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled"}}},
        "reasoning_off": {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}},
    }
    assert told(ask(effort="low"), **nova) == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    assert told(ask(effort="none"), **nova) == {"reasoningConfig": {"type": "disabled"}}
    with pytest.raises(ConfigError, match="reasoning_off"):
        told(ask(effort="none"))


@pytest.mark.parametrize(
    ("choice", "told"),
    [(None, None), ("auto", {"auto": {}}), ("required", {"any": {}}), ("add", {"tool": {"name": "add"}})],
)
def test_a_call_can_be_left_free_or_forced(choice: str | None, told: object) -> None:
    config = bedrock.encode(endpoint(), ask(tools=(ADD,), tool_choice=choice)).body["toolConfig"]
    assert config.get("toolChoice") == told
    assert "toolConfig" not in bedrock.encode(endpoint(), ask(tools=(ADD,), tool_choice="none")).body


def test_what_the_wire_or_the_model_cannot_carry_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="openai_completions"):
        bedrock.encode(endpoint(), ask(logprobs=1))
    with pytest.raises(ConfigError, match="takes no tools"):
        bedrock.encode(endpoint(tools=False), ask(tools=(ADD,)))
    with pytest.raises(ConfigError, match="cannot be made to call"):
        bedrock.encode(endpoint(tools="auto"), ask(tools=(ADD,), tool_choice="required"))
    with pytest.raises(ConfigError, match="tool_choice = 'ad' is none of the request's tools; did you mean 'add'"):
        bedrock.encode(endpoint(), ask(tools=(ADD,), tool_choice="ad"))
    with pytest.raises(ConfigError, match="needs tools"):
        bedrock.encode(endpoint(), ask(tool_choice="required"))
    with pytest.raises(ConfigError, match="no schema"):
        bedrock.encode(endpoint(structured=False), ask(answer_schema={}))
    with pytest.raises(ConfigError, match="2 stop sequences and the target takes 1"):
        bedrock.encode(endpoint(stop_max=1), ask(stop=("a", "b")))
    assert "stopSequences" not in bedrock.encode(endpoint(stop_max=0), ask(stop=("a",))).body["inferenceConfig"]
    with pytest.raises(ConfigError, match="1023 tokens for thinking are fewer than the 1024"):
        bedrock.encode(endpoint(), ask(thinking_tokens=1023, max_tokens=4096))
    with pytest.raises(ConfigError, match="2048 tokens for thinking are not less than max_tokens = 2048"):
        bedrock.encode(endpoint(), ask(thinking_tokens=2048, max_tokens=2048))
    with pytest.raises(ConfigError, match="while it thinks"):
        bedrock.encode(endpoint(), ask(thinking_tokens=2048, max_tokens=4096, tools=(ADD,), tool_choice="add"))


def test_no_budget_is_checked_where_none_is_sent() -> None:
    asked = ask(thinking_tokens=10, max_tokens=4096, tools=(ADD,), tool_choice="add")
    out = bedrock.encode(endpoint(budget_at=False), asked)
    assert "additionalModelRequestFields" not in out.body
    assert bedrock.encode(endpoint(reasoning="none"), ask(effort="none")).body == bedrock.encode(endpoint(), ask()).body


def test_an_effort_in_the_requests_extra_holds_for_the_temperature() -> None:
    def sent(**more: Any) -> bool:
        quirks = {"sampling": "when_none", "effort_default": "medium"}
        return "temperature" in bedrock.encode(endpoint(**quirks), ask(**more)).body["inferenceConfig"]

    assert not sent()
    assert sent(extra={"outputConfig": {"effort": "none"}})
    assert not sent(extra={"output_config": {"effort": "none"}})


def test_usage_that_is_missing_or_broken_is_unknown() -> None:
    assert bedrock.decode(b'{"metadata":{}}').usage is None
    assert bedrock.decode(b'{"metadata":{"usage":{"outputTokens":-1}}}').usage == Usage()
    fold, row = folded(said("messageStop", {"stopReason": "end_turn"}))
    assert (fold.status(), row.get("tokens_source")) == ("ok", None)


def test_models_are_listed_where_the_api_lists_them() -> None:
    assert listing_path(bedrock) == "/foundation-models"
