"""Bedrock's wire against botocore's own client: the same frames, cut the same way, are the same answer."""

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from replay import Replay, replaying, some_cuts
from test_wires_bedrock import said

from bench.client import Client
from bench.records import Endpoint, Measurement, Message, Request, Tool
from bench.wires import bedrock as wire

botocore_session = pytest.importorskip("botocore.session")
exceptions = pytest.importorskip("botocore.exceptions")

RECORDED = sorted((Path(__file__).parent / "wires").glob("bedrock.*.bin"))
CUT = {"cut", "error_in_band"}
KIND = "application/vnd.amazon.eventstream"
WORDS = [
    "Grüße", " aus", " 東京", " 🙂", "\n\n", ' "q"', " \\frac{1}{2}", " шесть", " مرحبا", " नमस्ते", "👩\u200d👧",
    "\u2028", "<b>", " ", "0",
]  # fmt: skip
STATUS = {
    "end_turn": "ok", "tool_use": "ok", "stop_sequence": "ok", "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated", "content_filtered": "filtered", "guardrail_intervened": "filtered",
}  # fmt: skip
TOOL = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with replaying() as running:
        yield running


@pytest.fixture(scope="module")
def sdk(server: Replay) -> Iterator[Any]:
    session = botocore_session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    client = session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=server.url, config=config)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDROCK_KEY", "bedrock-api-key-0123")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


def pieces(dice: random.Random, most: int = 8) -> list[str]:
    return [dice.choice(WORDS) * dice.randint(1, 2) for _ in range(dice.randint(0, most))]


def block(index: int, deltas: list[dict[str, Any]], start: dict[str, Any] | None = None) -> list[bytes]:
    begin = [said("contentBlockStart", {"contentBlockIndex": index, "start": start})] if start else []
    body = [said("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcd"}) for delta in deltas]
    return [*begin, *body, said("contentBlockStop", {"contentBlockIndex": index})]


def generated(dice: random.Random) -> bytes:
    """A stream as Bedrock may send it."""
    frames, index = [said("messageStart", {"role": "assistant", "p": "abc"})], 0
    if dice.random() < 0.5:
        thoughts: list[dict[str, Any]] = [{"reasoningContent": {"text": piece}} for piece in pieces(dice)]
        thoughts += [{"reasoningContent": {"signature": "EqQBCgIYAhIM"}}] * dice.randint(0, 1)
        thoughts += [{"reasoningContent": {"redactedContent": "c2VjcmV0"}}] * dice.randint(0, 1)
        frames += block(index, thoughts)
        index += 1
    frames += block(index, [{"text": piece} for piece in pieces(dice)])
    for _ in range(dice.choice([0, 0, 1, 2])):
        index += 1
        text = json.dumps(dict.fromkeys(pieces(dice, 4), dice.random()), ensure_ascii=dice.random() < 0.3)
        edges = [0, *some_cuts(text.encode(), dice, 5), len(text)]
        parts = [text[a:b] for a, b in pairwise(edges)]
        start = {"toolUse": {"toolUseId": f"tooluse_{index}", "name": dice.choice(["add", "now"])}}
        frames += block(index, [{"toolUse": {"input": part}} for part in parts], start)
    frames.append(said("messageStop", {"stopReason": dice.choice(list(STATUS))}))
    if dice.random() < 0.9:
        usage = {"inputTokens": dice.randint(0, 999), "outputTokens": dice.randint(0, 999), "totalTokens": 5}
        if dice.random() < 0.5:
            usage |= {"cacheReadInputTokens": dice.randint(0, 999), "cacheWriteInputTokens": dice.randint(0, 999)}
        metadata: dict[str, Any] = {"usage": usage, "metrics": {"latencyMs": 7}}
        if dice.random() < 0.5:
            metadata["serviceTier"] = {"type": dice.choice(["default", "flex", "priority"])}
        frames.append(said("metadata", metadata))
    return b"".join(frames)


def answers() -> list[tuple[str, bytes, list[int]]]:
    """(name, bytes, cuts): each recorded stream that ends well, and sixty generated ones."""
    dice = random.Random(20261124)
    out = []
    for file in RECORDED:
        if file.stem.split(".")[1] not in CUT:
            out.append((file.stem, file.read_bytes(), some_cuts(file.read_bytes(), dice)))
    for number in range(60):
        body = generated(dice)
        out.append((f"generated {number}", body, some_cuts(body, dice)))
    return out


ANSWERS = answers()


def test_there_are_enough_streams_to_compare() -> None:
    assert len(ANSWERS) >= 50
    assert any(b"reasoningContent" in body for _, body, _ in ANSWERS)
    assert any(b"toolUse" in body for _, body, _ in ANSWERS)


def theirs(sdk: Any) -> list[dict[str, Any]]:
    messages = [{"role": "user", "content": [{"text": "2+2="}]}]
    stream = sdk.converse_stream(modelId="m-v1:0", messages=messages)["stream"]
    try:
        return list(stream)
    finally:
        stream.close()


def ours(url: str) -> Measurement:
    target = Endpoint(target_id="t", base_url=url, wire="bedrock", model="m-v1:0", key_ref="env:BEDROCK_KEY")

    async def main() -> Measurement:
        async with Client(target) as client:
            return await client.send(Request(request_id="r", request_key="k", prompt="2+2="))

    return asyncio.run(main())


def all_of(events: list[dict[str, Any]], *path: str) -> list[Any]:
    """What stands at a path, in each event that has it."""
    found: list[Any] = list(events)
    for key in path:
        found = [value[key] for value in found if isinstance(value, dict) and key in value]
    return found


def calls_of(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    calls: dict[int, list[str]] = {}
    for event in events:
        start, delta = event.get("contentBlockStart", {}), event.get("contentBlockDelta", {})
        if use := start.get("start", {}).get("toolUse"):
            calls[start["contentBlockIndex"]] = [use["toolUseId"], use["name"], ""]
        if use := delta.get("delta", {}).get("toolUse"):
            calls[delta["contentBlockIndex"]][2] += use["input"]
    return [(call[0], call[1], call[2]) for _, call in sorted(calls.items())]


@pytest.mark.parametrize(("name", "body", "cuts"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_both_read_the_same_answer(server: Replay, sdk: Any, name: str, body: bytes, cuts: list[int]) -> None:
    server.say(body, KIND, cuts=cuts)
    events, m = theirs(sdk), ours(server.url)
    delta = ("contentBlockDelta", "delta")
    assert (m.answer, m.error) == ("".join(all_of(events, *delta, "text")), None)
    assert m.reasoning == ("".join(all_of(events, *delta, "reasoningContent", "text")) or None)
    (stop,) = all_of(events, "messageStop", "stopReason")
    assert (m.finish_reason, m.status) == (stop, STATUS[stop])
    assert [(call.id, call.name, call.arguments) for call in m.tool_calls or ()] == calls_of(events)
    usage = next(iter(all_of(events, "metadata", "usage")), {})
    read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
    whole = usage["inputTokens"] + (read or 0) + (written or 0) if usage else None
    assert (m.in_tokens, m.in_cached_tokens, m.in_cache_write_tokens) == (whole, read, written)
    assert m.out_tokens == usage.get("outputTokens")
    assert m.service_tier == next(iter(all_of(events, "metadata", "serviceTier", "type")), None)
    assert m.response_model == next(iter(all_of(events, "metadata", "trace", "promptRouter", "invokedModelId")), None)


def test_both_see_an_exception_inside_the_stream(server: Replay, sdk: Any) -> None:
    body = next(file for file in RECORDED if "error_in_band" in file.name).read_bytes()
    server.say(body, KIND, cuts=[5, 200])
    with pytest.raises(exceptions.EventStreamError, match=r"throttlingException.*Too many requests"):
        theirs(sdk)
    m = ours(server.url)
    assert (m.status, m.retryable) == ("http_error", True)
    assert "Too many requests" in (m.error or "")


def test_both_see_a_damaged_frame(server: Replay, sdk: Any) -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    body = bytearray(RECORDED[-1].read_bytes())
    body[len(body) // 2] ^= 4
    server.say(bytes(body), KIND)
    with pytest.raises(eventstream.ParserError):
        theirs(sdk)
    assert ours(server.url).status == "garbled"


def asked(**more: Any) -> Request:
    messages = (Message(role="system", content="be brief"), Message(role="user", content="2+2? é🙂"))
    return Request(request_id="r", request_key="k", messages=messages, **{"max_tokens": 7, **more})


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked(stop=("\n",), tools=(TOOL,), tool_choice="add", temperature=0.5),
        asked(tools=(TOOL, Tool(name="now")), thinking_tokens=2048, max_tokens=4096, temperature=None),
        asked(tools=(TOOL, Tool(name="now")), tool_choice="required"),
        asked(effort="high", answer_schema={"type": "object"}, extra={"serviceTier": {"type": "flex"}}),
    ],
    ids=["plain", "a tool", "thinking", "forced", "schema"],
)
def test_what_we_ask_is_valid_for_the_sdk_and_what_it_sends(server: Replay, sdk: Any, request_: Request) -> None:
    """botocore checks parameters against the service's own model, and sends the body and path that we send."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.m-v1:0"
    outgoing = wire.encode(Endpoint(target_id="t", base_url=server.url, wire="bedrock", model=arn), request_)
    server.say(RECORDED[0].read_bytes(), KIND)
    list(sdk.converse_stream(modelId=arn, **outgoing.body)["stream"])
    path, _, body = server.asked[-1]
    assert path == outgoing.path
    assert json.loads(body) == outgoing.body


def test_a_whole_answer_is_the_same_too(server: Replay, sdk: Any) -> None:
    body = {
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "two"}}}, {"text": "4"},
            {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 2}}},
        ]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 9, "outputTokens": 5, "totalTokens": 20, "cacheReadInputTokens": 6},
        "metrics": {"latencyMs": 300},
    }  # fmt: skip
    server.say(json.dumps(body).encode(), "application/json")
    answer = sdk.converse(modelId="m-v1:0", messages=[{"role": "user", "content": [{"text": "2+2="}]}])
    m, content = ours(server.url), answer["output"]["message"]["content"]
    assert m.answer == content[1]["text"]
    assert m.reasoning == content[0]["reasoningContent"]["reasoningText"]["text"]
    assert [(c.id, json.loads(c.arguments)) for c in m.tool_calls or ()] == [
        (content[2]["toolUse"]["toolUseId"], content[2]["toolUse"]["input"])
    ]
    assert (m.finish_reason, m.in_tokens, m.out_tokens) == (answer["stopReason"], 15, answer["usage"]["outputTokens"])
