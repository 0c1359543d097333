"""The official Python SDK of Anthropic and we read the same bytes to the same answer, usage and ends."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.client import Client
from bench.records import Endpoint, Measurement, Message, Request, Tool
from bench.wires.anthropic import encode
from tests.replay import Replay, replaying, some_cuts

sdk = pytest.importorskip("anthropic")

RECORDED = Path(__file__).parent / "wires"
GENERATED = 60
TEXTS = (
    "Grüße",
    " aus ",
    "東京",
    " 🙂🏽",
    "\n\n",
    "мир ",
    "שלום",
    "\u2028",
    "\u0085",
    '"\\',
    "data: x",
    "\x0b",
    "e\u0301",
    "",
)
TOOLS = (Tool(name="add"), Tool(name="now"))


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with replaying() as running:
        yield running


def endpoint(server: Replay) -> Endpoint:
    return Endpoint(target_id="t", base_url=f"{server.url}/v1", wire="anthropic", model="m", total_timeout_s=20)


def ours(server: Replay, **more: Any) -> Measurement:
    async def asked() -> Measurement:
        async with Client(endpoint(server)) as client:
            request = {"prompt": "q", "tools": TOOLS, **more}
            return await client.send(Request(request_id="r", request_key="k", **request))

    return asyncio.run(asked())


def theirs(server: Replay) -> Any:
    """The message that the SDK puts together; its error if it raises one."""
    client = sdk.Anthropic(api_key="x", base_url=server.url, max_retries=0)
    with client, client.messages.stream(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "q"}]
    ) as stream:  # fmt: skip
        return stream.get_final_message()


def arithmetic(usage: Any) -> tuple[Any, ...]:
    """What the SDK's counts are in ours: the prompt is the sum of its three parts."""
    parts = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    details = usage.output_tokens_details
    return (
        sum(part or 0 for part in parts),
        *parts[1:],
        usage.output_tokens,
        None if details is None else details.thinking_tokens,
    )


def assert_same(row: Measurement, message: Any) -> None:
    blocks = message.content
    assert row.answer == "".join(block.text for block in blocks if block.type == "text")
    assert (row.reasoning or "") == "".join(block.thinking for block in blocks if block.type == "thinking")
    assert (row.finish_reason, row.response_id, row.response_model) == (message.stop_reason, message.id, message.model)
    assert (
        row.in_tokens,
        row.in_cached_tokens,
        row.in_cache_write_tokens,
        row.out_tokens,
        row.reasoning_tokens,
    ) == arithmetic(message.usage)
    assert row.service_tier == ("fast" if message.usage.speed == "fast" else message.usage.service_tier)
    assert [(call.id, call.name, json.loads(call.arguments or "{}")) for call in row.tool_calls or ()] == [
        (block.id, block.name, block.input) for block in blocks if block.type == "tool_use"
    ]


# ── generated streams ──


def text(dice: random.Random) -> str:
    return "".join(dice.choices(TEXTS, k=dice.randint(0, 3)))


def block(dice: random.Random, index: int, kind: str) -> list[dict[str, Any]]:
    """The events of one content block."""

    def delta(**said: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": said}

    pieces: list[dict[str, Any]] = []
    match kind:
        case "text":
            head = {"type": "text", "text": dice.choice(("", "", "So"))}
            pieces = [delta(type="text_delta", text=text(dice)) for _ in range(dice.randint(0, 5))]
        case "thinking":
            head = {"type": "thinking", "thinking": "", "signature": ""}
            pieces = [delta(type="thinking_delta", thinking=text(dice)) for _ in range(dice.randint(0, 4))]
            pieces.append(delta(type="signature_delta", signature="c2ln"))
        case "redacted_thinking":
            head = {"type": kind, "data": "RW1w"}
        case _:
            name = dice.choice(("add", "now"))
            head = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
            given = {"a": dice.randint(0, 9), "ü": text(dice), "l": [{"x": None}]} if name == "add" else {}
            if dice.random() < 0.2:
                head["input"] = given
            else:
                raw = json.dumps(given, ensure_ascii=dice.random() < 0.5) if given else ""
                edges = sorted(dice.choices(range(len(raw) + 1), k=3))
                parts = [raw[a:b] for a, b in zip([0, *edges], [*edges, len(raw)], strict=True)]
                pieces = [delta(type="input_json_delta", partial_json=part) for part in parts]
    return [
        {"type": "content_block_start", "index": index, "content_block": head},
        *pieces,
        {"type": "content_block_stop", "index": index},
    ]


def usage_at_first(dice: random.Random) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": dice.randint(0, 900), "output_tokens": dice.randint(1, 8)}
    if dice.random() < 0.6:
        usage |= {
            "cache_read_input_tokens": dice.choice((None, 0, 2000)),
            "cache_creation_input_tokens": dice.choice((None, 0, 300)),
        }
    if dice.random() < 0.6:
        usage |= {"service_tier": dice.choice(("standard", "priority", "batch")), "speed": dice.choice((None, "fast"))}
    return usage


def usage_at_last(dice: random.Random) -> dict[str, Any]:
    usage: dict[str, Any] = {"output_tokens": dice.randint(0, 500)}
    if dice.random() < 0.5:
        usage["output_tokens_details"] = {"thinking_tokens": dice.randint(0, 100)}
    for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
        if dice.random() < 0.3:
            usage[name] = dice.choice((None, 0, 77))
    return usage


def generated(dice: random.Random) -> bytes:
    kinds = dice.choices(
        ("text", "thinking", "redacted_thinking", "tool_use"), weights=(4, 2, 1, 2), k=dice.randint(0, 4)
    )
    reason = dice.choice(
        (
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "refusal",
            "pause_turn",
            "model_context_window_exceeded",
        )
    )
    why = {"type": "refusal", "category": "cyber", "explanation": text(dice)} if reason == "refusal" else None
    message = {
        "id": f"msg_{dice.randint(0, 999)}",
        "type": "message",
        "role": "assistant",
        "model": "claude-ü",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_at_first(dice),
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, kind in enumerate(kinds):
        events += block(dice, index, kind)
    if dice.random() < 0.3:
        early: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        events.append({"type": "message_delta", "delta": early, "usage": usage_at_last(dice)})
    last: dict[str, Any] = {"stop_reason": reason, "stop_sequence": None, "stop_details": why}
    events += [
        {"type": "message_delta", "delta": last, "usage": usage_at_last(dice)},
        {"type": "message_stop"},
    ]
    for _ in range(dice.randint(0, 3)):
        events.insert(dice.randint(1, len(events) - 1), {"type": "ping"})
    end = dice.choice((b"\n", b"\r\n"))
    compact = dice.random() < 0.5
    raw = b""
    for event in events:
        data = json.dumps(
            event, ensure_ascii=dice.random() < 0.3, separators=(",", ":") if compact else None
        ).encode()  # fmt: skip
        if dice.random() < 0.1:
            raw += b": a comment" + end + end
        raw += b"event: %b%bdata: %b%b%b" % (event["type"].encode(), end, data, end, end)
    return raw


GOOD = [
    path.stem.partition(".")[2]
    for path in sorted(RECORDED.glob("anthropic.*.sse"))
    # Without an end, or without the usage that the API always sends: tried below.
    if not path.stem.partition(".")[2].startswith(("error_", "cut", "usage_none"))
]


def test_recorded_and_generated_streams_are_read_alike(server: Replay) -> None:
    dice = random.Random(20261122)
    streams = [(RECORDED / f"anthropic.{name}.sse").read_bytes() for name in GOOD]
    streams += [generated(dice) for _ in range(GENERATED)]
    for raw in streams:
        server.say(raw, "text/event-stream; charset=utf-8", cuts=some_cuts(raw, dice))
        row = ours(server)
        assert row.error is None, (row.error, raw)
        assert_same(row, theirs(server))
    assert len(streams) >= 50


def test_a_whole_body_is_read_alike(server: Replay) -> None:
    server.say((RECORDED / "anthropic.whole.json").read_bytes(), "application/json", cuts=[30, 200])
    client = sdk.Anthropic(api_key="x", base_url=server.url, max_retries=0)
    with client:
        message = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "q"}])
    assert_same(ours(server), message)


@pytest.mark.parametrize(
    ("name", "code", "again"), [("error_in_band", "overloaded_error", True), ("error_money", "spend_limit", False)]
)
def test_an_error_inside_the_stream_is_one_to_both(server: Replay, name: str, code: str, again: bool) -> None:
    server.say((RECORDED / f"anthropic.{name}.sse").read_bytes(), "text/event-stream")
    row = ours(server)
    assert (row.status, row.retryable) == ("http_error", again)
    with pytest.raises(sdk.APIStatusError, match=code):
        theirs(server)
    assert code in (row.error or "")


@pytest.mark.parametrize("name", ["cut", "cut_done"])
def test_a_cut_stream_is_an_error_here_where_the_sdk_gives_a_short_answer(server: Replay, name: str) -> None:
    server.say((RECORDED / f"anthropic.{name}.sse").read_bytes(), "text/event-stream")
    row, message = ours(server), theirs(server)
    assert (row.status, row.answer) == ("stream_cut", "one two")
    assert (message.stop_reason, message.content[0].text) == (None, "one two")


def test_our_request_is_of_the_sdks_types() -> None:
    pydantic = pytest.importorskip("pydantic")
    types = pydantic.TypeAdapter(sdk.types.message_create_params.MessageCreateParamsStreaming)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    at = Endpoint(
        target_id="t",
        base_url="http://x/v1",
        wire="anthropic",
        model="m",
        quirks={"effort_on": {"thinking": {"type": "adaptive"}}},
    )
    for more in (
        {},
        {"effort": "high"},
        {"effort": "none"},
        {"thinking_tokens": 1024, "max_tokens": 4096},
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": "add"},
        {"tools": TOOLS, "tool_choice": "auto"},
        {"tools": TOOLS, "tool_choice": "none"},
        {"answer_schema": schema, "stop": ("###",)},
    ):
        messages = (Message(role="system", content="s"), Message(role="user", content="u"))
        asked = {"temperature": None, "messages": messages, **more}
        body = encode(at, Request(request_id="r", request_key="k", **asked)).body
        types.validate_python(body, strict=True, extra="forbid")


def test_both_send_the_same_request(server: Replay) -> None:
    server.say((RECORDED / "anthropic.plain.sse").read_bytes(), "text/event-stream")
    theirs(server)
    ours(server, tools=(), max_tokens=9, temperature=None)
    (path, headers, body), (own_path, own_headers, own_body) = server.asked[-2:]
    assert path.partition("?")[0] == own_path == "/v1/messages"
    assert json.loads(body) == json.loads(own_body)
    assert (headers["anthropic-version"], own_headers["anthropic-version"]) == ("2026-10-21", "2023-06-01")
