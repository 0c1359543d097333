"""Ollama's wire against Ollama's own client: the same bytes, cut the same way, are the same answer."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from replay import Replay, replaying, some_cuts

from bench.client import Client
from bench.records import Endpoint, Measurement, Message, Request, Tool
from bench.wires import ollama as wire

ollama = pytest.importorskip("ollama")

RECORDED = sorted((Path(__file__).parent / "wires").glob("ollama.*.ndjson"))
CUT = {"cut", "cut_in_line", "connection_closed", "error_in_band"}
OTHERWISE = {"generate", "think_tag"}
"""Compared below, or read by us alone: the SDK leaves `<think>` where it stands."""
WORDS = [
    "Grüße", " aus", " 東京", " 🙂", "\n\n", ' "q"', " \\frac{1}{2}", " шесть", " مرحبا", " नमस्ते", "👩\u200d👧",
    "\u2028", "<b>", " ", "0",
]  # fmt: skip
TOOL = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with replaying() as running:
        yield running


@pytest.fixture(scope="module")
def sdk(server: Replay) -> Iterator[Any]:
    with ollama.Client(server.url) as client:
        yield client


def said(dice: random.Random, most: int = 8) -> list[str]:
    return [dice.choice(WORDS) * dice.randint(1, 2) for _ in range(dice.randint(0, most))]


def generated(dice: random.Random) -> bytes:
    """A stream as Ollama may send it."""
    lines: list[dict[str, Any]] = [{"content": "", "thinking": piece} for piece in said(dice) if dice.random() < 0.6]
    lines += [{"content": piece} for piece in said(dice)]
    for _ in range(dice.choice([0, 0, 1, 2])):
        names = [dice.choice(["add", "now"]) for _ in range(dice.randint(1, 2))]
        calls = [
            {"function": {"name": name, "arguments": dict.fromkeys(said(dice, 3), dice.random())}} for name in names
        ]
        lines.append({"content": "", "tool_calls": calls})
    last: dict[str, Any] = {"content": dice.choice(["", "."])}
    end: dict[str, Any] = {"done": True, "done_reason": dice.choice(["stop", "length"])}
    if dice.random() < 0.9:
        end |= {"total_duration": 10**10, "load_duration": dice.randint(0, 10**10)}
        end |= {"prompt_eval_count": dice.randint(1, 9999), "prompt_eval_duration": dice.randint(0, 10**10)}
        end |= {"eval_count": dice.randint(1, 9999), "eval_duration": dice.randint(0, 10**10)}
        if dice.random() < 0.5:
            end["prompt_eval_cached_count"] = dice.randint(0, end["prompt_eval_count"])
    head = {"model": dice.choice(["qwen3:8b", "gpt-oss:120b"]), "created_at": "2026-11-20T09:00:00.123456789Z"}
    if dice.random() < 0.2:
        head |= {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}
    whole = [{**head, "message": {"role": "assistant", **line}, "done": False} for line in lines]
    whole.append({**head, "message": {"role": "assistant", **last}, **end})
    ascii_only, end_of_line = dice.random() < 0.3, dice.choice(["\n", "\r\n"])
    told = end_of_line.join(json.dumps(line, ensure_ascii=ascii_only) for line in whole) + end_of_line
    # Go writes these three escaped; the SDK would take a bare U+2028 for the end of a line.
    for character in "\u2028<>":
        told = told.replace(character, f"\\u{ord(character):04x}")
    return told.encode()


def answers() -> list[tuple[str, bytes, list[int]]]:
    """(name, bytes, cuts): each recorded stream that ends well, and sixty generated ones."""
    dice = random.Random(20261124)
    out = []
    for file in RECORDED:
        if file.stem.split(".")[1] not in CUT | OTHERWISE:
            out.append((file.stem, file.read_bytes(), some_cuts(file.read_bytes(), dice)))
    for number in range(60):
        body = generated(dice)
        out.append((f"generated {number}", body, some_cuts(body, dice)))
    return out


ANSWERS = answers()


def test_there_are_enough_streams_to_compare() -> None:
    assert len(ANSWERS) >= 50
    assert any("thinking" in body.decode() for _, body, _ in ANSWERS)
    assert any("tool_calls" in body.decode() for _, body, _ in ANSWERS)


def ours(url: str) -> Measurement:
    target = Endpoint(target_id="t", base_url=url, wire="ollama", model="qwen3:8b")

    async def main() -> Measurement:
        async with Client(target) as client:
            return await client.send(Request(request_id="r", request_key="k", prompt="2+2="))

    return asyncio.run(main())


@pytest.mark.parametrize(("name", "body", "cuts"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_both_read_the_same_answer(server: Replay, sdk: Any, name: str, body: bytes, cuts: list[int]) -> None:
    server.say(body, "application/x-ndjson", cuts=cuts)
    parts = list(sdk.chat("m", [{"role": "user", "content": "2+2="}], stream=True))
    last, m = parts[-1], ours(server.url)
    assert (m.answer, m.error) == ("".join(part.message.content or "" for part in parts), None)
    assert m.reasoning == ("".join(part.message.thinking or "" for part in parts) or None)
    assert (m.finish_reason, m.response_model) == (last.done_reason, last.model)
    assert m.status == {"stop": "ok", "length": "truncated"}[last.done_reason or ""]
    assert (m.in_tokens, m.out_tokens) == (last.prompt_eval_count, last.eval_count)
    # Not in the SDK's types yet, so read from the line itself.
    assert m.in_cached_tokens == json.loads(body.splitlines()[-1]).get("prompt_eval_cached_count")
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    assert [(call.name, json.loads(call.arguments)) for call in m.tool_calls or ()] == [
        (call.name, dict(call.arguments)) for call in calls
    ]
    told = (last.load_duration, last.prompt_eval_duration, last.eval_duration)
    assert (m.server_queue_ms, m.server_prefill_ms, m.server_decode_ms) == tuple(
        None if ns is None else ns / 1e6 for ns in told
    )
    pairs = [(pair.token, pair.logprob) for part in parts for pair in part.logprobs or ()]
    assert [(pair.token, pair.logprob) for pair in m.logprobs or ()] == pairs


def test_both_see_an_error_inside_the_stream(server: Replay, sdk: Any) -> None:
    body = next(file for file in RECORDED if "error_in_band" in file.name).read_bytes()
    server.say(body, "application/x-ndjson", cuts=[5, 150])
    with pytest.raises(ollama.ResponseError, match="out of memory"):
        list(sdk.chat("m", stream=True))
    m = ours(server.url)
    assert (m.status, m.retryable) == ("http_error", True)
    assert "out of memory" in (m.error or "")


def test_both_read_a_raw_prompts_answer(server: Replay, sdk: Any) -> None:
    body = next(file for file in RECORDED if "generate" in file.name).read_bytes()
    server.say(body, "application/x-ndjson", cuts=[7, 90, 91])
    parts = list(sdk.generate("m", "The capital of France is", raw=True, stream=True))
    assert ours(server.url).answer == "".join(part.response or "" for part in parts) == " Paris"


def test_what_we_ask_is_what_the_sdks_types_take_and_send(server: Replay, sdk: Any) -> None:
    target = Endpoint(target_id="t", base_url=server.url, wire="ollama", model="qwen3:8b")
    asked = Request(
        request_id="r",
        request_key="k",
        messages=(Message(role="system", content="be brief"), Message(role="user", content="2+2?")),
        max_tokens=7,
        seed=3,
        stop=("\n",),
        tools=(TOOL,),
        effort="high",
        answer_schema={"type": "object", "properties": {"a": {"type": "integer"}}},
        extra={"options": {"num_ctx": 8192}},
    )
    body = wire.encode(target, asked).body
    types = pytest.importorskip("ollama._types")
    types.ChatRequest(**body)
    assert set(body["options"]) <= set(types.Options.model_fields)
    server.say(RECORDED[0].read_bytes(), "application/x-ndjson")
    known = {name: body[name] for name in ("messages", "tools", "options", "think", "format")}
    list(sdk.chat("qwen3:8b", stream=True, **known))
    theirs = json.loads(server.asked[-1][2])
    assert server.asked[-1][0] == wire.encode(target, asked).path
    # What the SDK has no field for, we say beyond it.
    assert {name: body[name] for name in theirs} == theirs
    assert set(body) - set(theirs) == {"truncate", "shift"}


def test_the_models_are_listed_as_the_sdk_lists_them(server: Replay, sdk: Any) -> None:
    listed = {
        "models": [{"name": "qwen3:8b", "model": "qwen3:8b", "size": 1}, {"name": "a:latest", "model": "a:latest"}]
    }
    server.say(json.dumps(listed).encode(), "application/json")

    async def main() -> list[str]:
        async with Client(Endpoint(target_id="t", base_url=server.url, wire="ollama", model="m")) as client:
            return await client.models()

    assert asyncio.run(main()) == [model.model for model in sdk.list().models]
    assert [path for path, _, _ in server.asked[-2:]] == ["/api/tags", "/api/tags"]
