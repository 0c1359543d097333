"""The official Python SDK of Gemini and we read the same bytes to the same answer, usage and ends."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.client import Client
from bench.records import Endpoint, Measurement, Message, Request, Tool
from bench.wires.gemini import encode
from tests.replay import Replay, replaying, some_cuts

genai = pytest.importorskip("google.genai")

RECORDED = Path(__file__).parent / "wires"
GENERATED = 62
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
    "{",
    "]",
    "e\u0301",
    "",
)
ENDS = (
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "SPII",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "CONTINUATION",
)
BLOCKS = ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "JAILBREAK", "MODEL_ARMOR", "IMAGE_SAFETY")
TOOLS = (Tool(name="add", description="adds"), Tool(name="now"))


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with replaying() as running:
        yield running


def ours(server: Replay, **more: Any) -> Measurement:
    endpoint = Endpoint(target_id="t", base_url=f"{server.url}/v1beta", wire="gemini", model="m", total_timeout_s=20)

    async def asked() -> Measurement:
        async with Client(endpoint) as client:
            request = {"prompt": "q", "tools": TOOLS, **more}
            return await client.send(Request(request_id="r", request_key="k", **request))

    return asyncio.run(asked())


def sdk_client(server: Replay) -> Any:
    return genai.Client(
        api_key="x", http_options={"base_url": server.url, "api_version": "v1beta", "retry_options": {"attempts": 1}}
    )


def theirs(server: Replay, **config: Any) -> list[Any]:
    """The chunks that the SDK yields; it puts nothing together."""
    with sdk_client(server) as client:
        return list(
            client.models.generate_content_stream(
                model="m", contents="q", config=genai.types.GenerateContentConfig(**config)
            )
        )


def parts_of(chunks: list[Any]) -> list[Any]:
    candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
    return [part for one in candidates if one.content for part in one.content.parts or []]


def last(values: Any) -> Any:
    return next((value for value in reversed(list(values)) if value is not None), None)


def assert_same(row: Measurement, chunks: list[Any]) -> None:
    parts = parts_of(chunks)
    assert row.answer == "".join(part.text or "" for part in parts if not part.thought)
    assert (row.reasoning or "") == "".join(part.text or "" for part in parts if part.thought)
    assert (row.response_id, row.response_model) == (
        last(chunk.response_id for chunk in chunks),
        last(chunk.model_version for chunk in chunks),
    )
    ends = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    blocked = last(chunk.prompt_feedback and chunk.prompt_feedback.block_reason for chunk in chunks)
    finish = last(ends)
    assert row.finish_reason == (f"blockReason {blocked.value}" if finish is None else finish.value)
    assert [(call.id, call.name, json.loads(call.arguments)) for call in row.tool_calls or ()] == [
        (part.function_call.id, part.function_call.name, part.function_call.args or {})
        for part in parts
        if part.function_call
    ]
    usage = last(chunk.usage_metadata for chunk in chunks)
    counted = (row.in_tokens, row.in_cached_tokens, row.out_tokens, row.reasoning_tokens)
    if usage is None:
        assert counted == (None, None, None, None)
        return
    assert counted == (
        (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        usage.cached_content_token_count or 0,
        (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        usage.thoughts_token_count or 0,
    )
    assert usage.total_token_count is None or row.in_tokens + row.out_tokens == usage.total_token_count  # type: ignore[operator]
    tier = usage.traffic_type and usage.traffic_type.value
    assert row.service_tier == {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}.get(tier, tier)
    logprobs = [
        (token.token, token.log_probability)
        for chunk in chunks
        if chunk.candidates and chunk.candidates[0].logprobs_result
        for token in chunk.candidates[0].logprobs_result.chosen_candidates
    ]
    assert [(pair.token, pair.logprob) for pair in row.logprobs or ()] == logprobs


# ── generated streams ──


def text(dice: random.Random) -> str:
    return "".join(dice.choices(TEXTS, k=dice.randint(0, 3)))


def part(dice: random.Random) -> dict[str, Any]:
    match dice.choices(("text", "thought", "call", "signature"), weights=(5, 2, 1, 1))[0]:
        case "text":
            return {"text": text(dice)}
        case "thought":
            return {"text": text(dice), "thought": True}
        case "signature":
            return {"text": "", "thoughtSignature": "c2ln"}
    call: dict[str, Any] = {"name": dice.choice(("add", "now"))}
    if call["name"] == "add":
        call["args"] = {"a": dice.randint(0, 9), "ü": text(dice), "l": [{"x": None}]}
    if dice.random() < 0.5:
        call["id"] = f"call_{dice.randint(0, 99)}"
    return {"functionCall": call}


def usage_of(dice: random.Random, spent: dict[str, int]) -> dict[str, Any]:
    """Running totals, as they stand; a count of nothing is left out."""
    for name in ("candidatesTokenCount", "thoughtsTokenCount"):
        spent[name] += dice.choice((0, 0, dice.randint(1, 40)))
    usage: dict[str, Any] = {name: count for name, count in spent.items() if count}
    counted = sum(count for name, count in usage.items() if name != "cachedContentTokenCount")
    traffic = spent["promptTokenCount"] % 4
    if traffic:
        usage["trafficType"] = ("ON_DEMAND", "ON_DEMAND_FLEX", "ON_DEMAND_PRIORITY")[traffic - 1]
    return {**usage, "totalTokenCount": counted}


def generated(dice: random.Random) -> bytes:
    spent = {
        "promptTokenCount": dice.randint(1, 900),
        "toolUsePromptTokenCount": dice.choice((0, 0, 50)),
        "cachedContentTokenCount": dice.choice((0, 0, 1)),
        "candidatesTokenCount": 0,
        "thoughtsTokenCount": 0,
    }
    everywhere, ids = dice.random() < 0.7, {"modelVersion": "gemini-ü", "responseId": f"r{dice.randint(0, 999)}"}
    chunks: list[dict[str, Any]] = []
    if dice.random() < 0.15:
        chunks.append({"promptFeedback": {"blockReason": dice.choice(BLOCKS)}, **ids})
    else:
        for _ in range(dice.randint(1, 6)):
            content = {"parts": [part(dice) for _ in range(dice.randint(0, 3))], "role": "model"}
            candidate: dict[str, Any] = {"index": 0, "content": content}
            if dice.random() < 0.1:
                chosen = [{"token": text(dice) or "x", "logProbability": -dice.random()}]
                candidate["logprobsResult"] = {"chosenCandidates": chosen}
            chunks.append({"candidates": [candidate], **ids})
            if everywhere:
                chunks[-1]["usageMetadata"] = usage_of(dice, spent)
        chunks[-1]["candidates"][0]["finishReason"] = dice.choice(ENDS)
        if dice.random() < 0.3:
            del chunks[-1]["candidates"][0]["content"]
    if everywhere or dice.random() < 0.7:
        chunks[-1]["usageMetadata"] = usage_of(dice, spent)
    end, raw = dice.choice((b"\n", b"\r\n", b"\r")), b""
    for chunk in chunks:
        data = json.dumps(
            chunk, ensure_ascii=dice.random() < 0.3, separators=dice.choice(((",", ":"), None))
        ).encode()  # fmt: skip
        raw += b"data: %b%b%b" % (data, end, end)
    return raw


GOOD = [
    path.stem.partition(".")[2]
    for path in sorted(RECORDED.glob("gemini.*.sse"))
    # Without an end, or an error to us: tried below.
    if not path.stem.partition(".")[2].startswith(("error_", "cut", "malformed"))
]


def test_recorded_and_generated_streams_are_read_alike(server: Replay) -> None:
    dice = random.Random(20261122)
    streams = [(RECORDED / f"gemini.{name}.sse").read_bytes() for name in GOOD]
    streams += [generated(dice) for _ in range(GENERATED)]
    for raw in streams:
        server.say(raw, "text/event-stream", cuts=some_cuts(raw, dice))
        row = ours(server)
        assert row.error is None, (row.error, raw)
        assert_same(row, theirs(server))
    assert len(streams) >= 50


def test_a_whole_body_is_read_alike(server: Replay) -> None:
    body = json.loads((RECORDED / "gemini.array.json").read_bytes())[1]
    server.say(json.dumps(body).encode(), "application/json", cuts=[30, 200])
    with sdk_client(server) as client:
        answer = client.models.generate_content(model="m", contents="q")
    assert_same(ours(server), [answer])


@pytest.mark.parametrize("name", ["error_in_band", "error_one_line"])
def test_an_error_inside_the_stream_is_one_to_both(server: Replay, name: str) -> None:
    raw = (RECORDED / f"gemini.{name}.sse").read_bytes()
    server.say(raw, "text/event-stream", cuts=some_cuts(raw, random.Random(1)))
    row = ours(server)
    assert (row.status, row.http_status, row.retryable) == ("http_error", 200, True)
    with pytest.raises(genai.errors.ServerError, match="503 UNAVAILABLE"):
        theirs(server)


def test_a_cut_stream_is_an_error_here_where_the_sdk_gives_a_short_answer(server: Replay) -> None:
    server.say((RECORDED / "gemini.cut.sse").read_bytes(), "text/event-stream")
    row, chunks = ours(server), theirs(server)
    assert (row.status, row.answer) == ("stream_cut", "one two")
    assert "".join(one.text for one in parts_of(chunks)) == "one two"


def camel(value: Any) -> Any:
    """Every name as the API documents it; it takes the SDK's `snake_case` for the same."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("_(.)", lambda found: found[1].upper(), name): camel(one) for name, one in value.items()}


@pytest.mark.parametrize(
    ("more", "config"),
    [
        ({}, {"thinking_config": {"include_thoughts": True}}),
        (
            {"effort": "high", "seed": 3, "stop": ("a", "b"), "temperature": 0.5, "logprobs": 2},
            {
                "thinking_config": {"include_thoughts": True, "thinking_level": "HIGH"},
                "seed": 3,
                "stop_sequences": ["a", "b"],
                "temperature": 0.5,
                "response_logprobs": True,
                "logprobs": 2,
            },
        ),
        ({"effort": "none"}, {"thinking_config": {"thinking_budget": 0}}),
        ({"thinking_tokens": 9}, {"thinking_config": {"include_thoughts": True, "thinking_budget": 9}}),
        (
            {"answer_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            {
                "thinking_config": {"include_thoughts": True},
                "response_mime_type": "application/json",
                "response_json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            },
        ),
        (
            {"tools": TOOLS, "tool_choice": "add"},
            {
                "thinking_config": {"include_thoughts": True},
                "tools": [
                    {
                        "function_declarations": [
                            {
                                "name": tool.name,
                                "description": tool.description or None,
                                "parameters_json_schema": dict(tool.parameters),
                            }
                            for tool in TOOLS
                        ]
                    }
                ],
                "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["add"]}},
            },
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_both_send_the_same_request(server: Replay, more: dict[str, Any], config: dict[str, Any]) -> None:
    server.say((RECORDED / "gemini.plain.sse").read_bytes(), "text/event-stream")
    theirs(server, max_output_tokens=7, system_instruction="s", **config)
    messages = (Message(role="system", content="s"), Message(role="user", content="q"))
    ours(server, **{"prompt": None, "messages": messages, "tools": (), "max_tokens": 7, "temperature": None, **more})
    (path, _, body), (own_path, _, own_body) = server.asked[-2:]
    assert path == own_path == "/v1beta/models/m:streamGenerateContent?alt=sse"
    wanted = camel(json.loads(body))
    # The SDK gives the instruction a role, which the API does not read.
    wanted["systemInstruction"].pop("role", None)
    assert json.loads(own_body) == wanted


def test_our_request_is_of_the_sdks_types() -> None:
    at = Endpoint(target_id="t", base_url="http://x", wire="gemini", model="m")
    asked = Request(request_id="r", request_key="k", prompt="q", tools=TOOLS, tool_choice="none", logprobs=0, seed=1)
    body = encode(at, asked).body
    types = genai.types
    types.GenerationConfig.model_validate(body["generationConfig"])
    types.ToolConfig.model_validate(body["toolConfig"])
    for kind, values in ((types.Content, body["contents"]), (types.Tool, body["tools"])):
        for value in values:
            kind.model_validate(value)
