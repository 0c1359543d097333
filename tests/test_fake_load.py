"""The fake server under load: its freezes show in its log, its faults come by turns, its tokens can be counted."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake import BIG_BYTES, LEAN, LOADED, MAX_MODEL_LEN, Plan, Running, Script, chunked, fake_server, lean, written

from bench.client import Client, new_event_loop
from bench.records import Endpoint, Measurement, Request


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with fake_server(tmp_path) as running:
        yield running


def ask(name: str, prompt: str = "say it", **more: Any) -> Request:
    return Request(request_id=name, request_key="k", prompt=prompt, **more)


def rows(server: Running, plan: str, *requests: Request, apart_s: float | None = None) -> list[Measurement]:
    """One row for each request: one after the other, or started `apart_s` apart whatever the others do."""
    endpoint = Endpoint(target_id="t", base_url=server.url, wire="openai_chat", model=f"fake?{plan}")

    async def main() -> list[Measurement]:
        async with Client(endpoint) as client:
            if apart_s is None:
                return [await client.send(request) for request in requests]
            tasks = []
            for request in requests:
                tasks.append(asyncio.create_task(client.send(request)))
                await asyncio.sleep(apart_s)
            return await asyncio.gather(*tasks)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


def post(server: Running, path: str, body: dict[str, Any]) -> Any:
    response = httpx.post(f"{server.url.removesuffix('/v1')}{path}", json=body, trust_env=False)
    assert response.status_code == 200
    return response.json()


def test_a_freeze_makes_everything_due_meanwhile_late_and_the_log_says_so(server: Running) -> None:
    plan = "tokens=8&ttft_ms=20&gap_ms=5&freeze_ms=300&freeze_at=4"
    seen = rows(server, plan, *(ask(f"r{n}") for n in range(8)), apart_s=0.02)
    assert {m.status for m in seen} == {"ok"}
    truths = {truth.request_id: truth for truth in server.log()}
    ttft_ms = [(truths[f"r{n}"].first("token") - truths[f"r{n}"].arrived_ns) / 1e6 for n in range(8)]
    assert ttft_ms[3] >= 300, "the request that froze it waited for all of it"
    assert all(late > 100 for late in ttft_ms[4:7]), f"requests that came meanwhile were stamped at arrival: {ttft_ms}"
    assert ttft_ms[0] < 100
    assert rows(server, plan, ask("after"))[0].status == "ok"
    after = server.truth("after")
    assert after.first("token") - after.arrived_ns < 100e6, "it freezes once"


@pytest.mark.parametrize("fault", ["half_429", "reset_half"])
def test_every_second_request_fails(server: Running, fault: str) -> None:
    seen = rows(server, f"tokens=6&fault={fault}", *(ask(f"r{n}") for n in range(6)))
    assert [m.status for m in seen] == ["ok", {"half_429": "http_error", "reset_half": "stream_cut"}[fault]] * 3
    if fault == "half_429":
        assert [(m.http_status, m.retry_after_s) for m in seen[1::2]] == [(429, 1.0)] * 3
    assert [m.chunks for m in seen[::2]] == [6] * 3


def test_turns_are_counted_by_model_string(server: Running) -> None:
    for plan in ("tokens=3&fault=half_429", "tokens=4&fault=half_429"):
        assert [m.status for m in rows(server, plan, ask("a"), ask("b"))] == ["ok", "http_error"]


def test_a_mixed_load_brings_every_fault_by_turns(server: Running) -> None:
    asked = LOADED["mixed_load"]
    seen = rows(server, "tokens=8&fault=mixed_load", *(ask(f"r{n}") for n in range(len(asked) + 1)))
    assert [truth.fault for truth in server.log()] == [*asked, asked[0]]
    assert [m.status for m in seen] == [
        "ok", "http_error", "stream_cut", "stream_cut", "stream_cut", "ok", "ok", "ok", "http_error", "http_error",
        "truncated", "ok",
    ]  # fmt: skip
    assert seen[asked.index("usage_missing")].out_tokens is None


def test_a_renamed_model_is_only_another_name(server: Running) -> None:
    response = httpx.post(
        f"{server.url}/chat/completions",
        json={"model": "fake?tokens=2&fault=renamed", "messages": [{"role": "user", "content": "x"}]},
        trust_env=False,
    )
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    assert {chunk["model"] for chunk in chunks} == {"fake-2"}


def test_one_frame_of_ten_megabytes_is_an_answer_like_any_other(server: Running) -> None:
    plan = "tokens=40&ttft_ms=20&gap_ms=5"
    small, big = rows(server, f"{plan}&fault=big_frame", ask("first"), ask("big"), apart_s=0.05)
    assert {(m.status, m.error, m.chunks) for m in (small, big)} == {("ok", None, 41)}
    assert {len(m.answer or "") // BIG_BYTES for m in (small, big)} == {1}
    assert "big" in server.truth("big").kinds


@pytest.mark.parametrize("body", [{}, {"model": "fake"}])
@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
def test_a_token_is_a_word(server: Running, path: str, body: dict[str, Any]) -> None:
    said = post(server, path, {"prompt": "one two  three\none", **body})
    assert (said["count"], len(said["tokens"]), said["max_model_len"]) == (4, 4, MAX_MODEL_LEN)
    assert said["tokens"][0] == said["tokens"][3]
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two"}]
    assert post(server, path, {"messages": messages})["count"] == 4
    parts = [{"role": "user", "content": [{"type": "text", "text": "one two three"}]}]
    assert post(server, path, {"messages": parts})["count"] == 3


def test_the_context_is_listed(server: Running) -> None:
    assert httpx.get(f"{server.url}/models", trust_env=False).json()["data"][0]["max_model_len"] == MAX_MODEL_LEN


def test_the_template_is_counted_with_the_prompt(server: Running) -> None:
    (m,) = rows(server, "tokens=2&template_tokens=7", ask("r", prompt="one two three"))
    assert m.in_tokens == 10


@pytest.mark.parametrize(
    ("plan", "extra", "out"),
    [
        ("", {"ignore_eos": True}, 9),
        ("tokens=asked", {}, 9),
        ("tokens=asked", {"ignore_eos": True}, 9),
        ("tokens=4", {"ignore_eos": True}, 4),
        ("tokens=40", {}, 9),
    ],
)
def test_as_many_tokens_as_asked(server: Running, plan: str, extra: dict[str, Any], out: int) -> None:
    (m,) = rows(server, plan, ask("r", max_tokens=9, extra=extra))
    assert (m.answer, m.out_tokens, m.chunks) == ("".join(f" w{n}" for n in range(out)), out, out)
    assert m.status == ("ok" if out < 9 else "truncated")


def test_the_role_can_come_with_the_first_token(server: Running) -> None:
    rows(server, "tokens=2&ttft_ms=60", ask("early"))
    rows(server, "tokens=2&ttft_ms=60&role=late", ask("late"))
    early, late = server.truth("early"), server.truth("late")
    assert early.first("token") - early.first("role") > 30e6
    assert late.first("token") - late.first("role") < 30e6
    assert late.first("role") - late.arrived_ns > 50e6


@pytest.mark.parametrize("wire", ["messages", "prompt"])
@pytest.mark.parametrize("fault", LEAN)
def test_the_quick_way_says_the_same_bytes(fault: str, wire: str) -> None:
    body: dict[str, Any] = {"max_tokens": 5}
    body |= {"messages": [{"role": "user", "content": "a b"}]} if wire == "messages" else {"prompt": "a b"}
    for plan in (Plan(tokens=3, fault=fault), Plan(tokens=30, fault=fault), Plan(tokens="asked", fault=fault)):
        slow = [(kind, chunked(raw)) for kind, raw in written(Script(plan, body, {}, ""))]
        assert lean(Script(plan, body, {}, "")) == slow


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.parametrize("logs", [True, False])
def test_a_long_run_takes_no_memory(tmp_path: Path, logs: bool) -> None:
    with fake_server(tmp_path, logs=logs) as server:
        plan, before = "tokens=100&fault=mixed_load", 0
        for turn in range(6):
            rows(server, plan, *(ask(f"{turn}-{n}", prompt=f"{n} " * 50) for n in range(100)))
            before = before or memory_kib(server.pid)
        assert memory_kib(server.pid) - before < 1500
        assert server.log_path.exists() == logs


def test_a_good_core_writes_many_streams_in_time(server: Running) -> None:
    """64 streams of 10 ms gaps, 6,400 tokens a second: far below what it can, so that a busy machine passes too."""
    began = time.monotonic()
    seen = rows(server, "tokens=50&ttft_ms=50&gap_ms=10", *(ask(f"r{n}") for n in range(64)), apart_s=0.0)
    assert {(m.status, m.chunks) for m in seen} == {("ok", 50)}
    assert time.monotonic() - began < 3
