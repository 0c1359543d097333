"""Client: against a server of known timing and known faults, every answer is right and every failure is a row."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from fake import BROKEN, FRAMING, LOUD, UTF8, Running, fake_server

from bench.client import Client, key_of, new_event_loop, probe
from bench.errors import ConfigError, Garbled, RateLimited, Refused, Unreachable
from bench.records import Endpoint, Measurement, Message, Request

KEY = "sk-live-0123456789abcdef"
SLOW = {"huge": 20.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake"), answers={"capital of France": "Paris, of course"}) as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def endpoint(server: Running, plan: str = "", **more: Any) -> Endpoint:
    defaults: dict[str, Any] = {"wire": "openai_chat", "key_ref": "env:FAKE_KEY", "total_timeout_s": 20.0}
    return Endpoint(target_id="fake", base_url=server.url, model=f"fake?{plan}", **{**defaults, **more})


count = 0


def ask(prompt: str = "please say bananas", **more: Any) -> Request:
    global count
    count += 1
    return Request(request_id=f"r{count}", request_key="k", prompt=prompt, **more)


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        return await main()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(whole())


def send(endpoint: Endpoint, *requests: Request, **client: Any) -> list[Measurement]:
    async def main() -> list[Measurement]:
        async with Client(endpoint, **client) as c:
            return [await c.send(request) for request in requests]

    return run(main)


def sent(endpoint: Endpoint, request: Request | None = None) -> Measurement:
    return send(endpoint, request or ask())[0]


# ── answers ──


@pytest.mark.parametrize("wire", ["openai_chat", "openai_completions"])
@pytest.mark.parametrize("fault", FRAMING)
def test_every_fault_of_framing_leaves_the_answer_right(server: Running, fault: str, wire: str) -> None:
    said = (f"{LOUD} " if fault in UTF8 else "") + "bananas"
    for m in send(endpoint(server, f"fault={fault}&gap_ms=0.2", wire=wire), ask(), ask()):
        assert (m.status, m.answer, m.error) == ("ok", said, None)
        assert m.finish_reason == "stop"
        assert m.http_status == 200
        assert m.out_tokens == (None if fault == "usage_missing" else (len(said) + 3) // 4)
        assert None not in (m.sent_ns, m.headers_ns, m.first_token_ns, m.first_answer_ns, m.last_token_ns, m.end_ns)
        stamps = [m.sent_ns, m.headers_ns, m.first_event_ns, m.first_token_ns, m.last_token_ns, m.end_ns]
        assert stamps == sorted(stamps)
        if wire == "openai_chat" and ("think" in fault or "reasoning" in fault):
            assert m.reasoning == "hm, let me see"
            assert m.first_token_ns <= m.first_answer_ns


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_every_broken_answer_is_a_row_with_its_status_and_never_the_key(server: Running, fault: str) -> None:
    quick = SLOW.get(fault, 0.3)
    broken = endpoint(
        server, f"fault={fault}", first_token_timeout_s=quick, stall_timeout_s=quick, total_timeout_s=max(1.0, quick)
    )
    m = sent(broken)
    assert m.status == BROKEN[fault]
    assert m.error
    assert "\n" not in m.error
    assert KEY not in repr(m)
    assert m.sent_ns is not None
    assert m.end_ns is not None
    assert m.end_ns >= m.sent_ns


def test_the_answer_of_the_dictionary_is_given_and_the_row_is_the_requests(server: Running) -> None:
    request = ask("What is the capital of France?", task="t", doc_id=3, repeat=2, attempt=1, kind="canary", sched_ns=5)
    (m,) = send(endpoint(server), request, run_id="run-1")
    assert m.answer == "Paris, of course"
    assert (m.task, m.doc_id, m.repeat, m.attempt, m.kind, m.sched_ns, m.run_id) == ("t", 3, 2, 1, "canary", 5, "run-1")
    assert (m.request_id, m.request_key, m.target_id, m.prompt) == (request.request_id, "k", "fake", request.prompt)
    assert m.response_id == "fake-1"
    assert m.started_at.endswith("Z")
    assert len(m.chunk_offsets_ns) == m.chunks == 4


def test_messages_go_as_messages_and_are_kept_as_json(server: Running) -> None:
    request = Request(
        request_id="m1",
        request_key="k",
        messages=(Message(role="system", content="kurz"), Message(role="user", content="sag Grüße")),
    )
    m = sent(endpoint(server), request)
    assert m.answer == "Grüße"
    assert m.prompt == '[{"role": "system", "content": "kurz"}, {"role": "user", "content": "sag Grüße"}]'
    assert server.truth("m1").body["messages"][0] == {"role": "system", "content": "kurz"}


@pytest.mark.parametrize(
    ("fault", "status"),
    [("refusal", "refused"), ("length", "truncated"), ("content_filter", "filtered"), ("tool", "ok")],
)
def test_ends_that_are_answers_have_their_own_status(server: Running, fault: str, status: str) -> None:
    m = sent(endpoint(server, f"fault={fault}"))
    assert (m.status, m.retryable) == (status, False)


def test_a_cap_on_tokens_truncates(server: Running) -> None:
    m = sent(endpoint(server), ask("say somethingverylong", max_tokens=2))
    assert (m.status, m.finish_reason, m.answer, m.out_tokens) == ("truncated", "length", "somethin", 2)


def test_echo_and_log_probabilities_come_back_over_completions(server: Running) -> None:
    m = sent(endpoint(server, wire="openai_completions"), ask("The sky is", echo=True, logprobs=1))
    assert m.answer == "is"
    assert m.logprobs is not None
    assert [pair.token for pair in m.logprobs] == ["The", " sky", " is", "is"]
    assert m.logprobs[0].logprob is None


# ── stamps ──


def test_stamps_are_never_before_the_servers_write_and_in_its_order(server: Running) -> None:
    requests = [ask() for _ in range(8)]

    async def main() -> list[Measurement]:
        async with Client(endpoint(server, "tokens=20&ttft_ms=10&gap_ms=2")) as client:
            return await asyncio.gather(*(client.send(request) for request in requests))

    for m in run(main):
        truth = server.truth(m.request_id)
        written = [ns for ns, kind in zip(truth.frames_ns, truth.kinds, strict=True) if kind == "token"]
        arrived = [m.sent_ns + offset for offset in m.chunk_offsets_ns]
        assert len(arrived) == len(written) == m.chunks == 20
        noise_ns = 200_000
        assert all(stamp >= write - noise_ns for stamp, write in zip(arrived, written, strict=True))
        assert arrived == sorted(arrived)
        assert m.first_token_ns - m.sent_ns >= 9_000_000
        assert m.end_ns >= truth.first("finish") - noise_ns
        assert m.sent_ns <= truth.arrived_ns + noise_ns
        assert m.stamp_source == "kernel"
        assert m.read_lag_max_ns is not None


def test_a_role_only_event_stops_no_clock(server: Running) -> None:
    m = sent(endpoint(server, "tokens=2&ttft_ms=40"))
    assert m.first_token_ns >= server.truth(m.request_id).first("token")


def test_requests_under_way_are_counted(server: Running) -> None:
    async def main() -> list[Measurement]:
        async with Client(endpoint(server, "tokens=3&ttft_ms=30")) as client:
            return await asyncio.gather(*(client.send(ask()) for _ in range(5)))

    assert max(m.inflight or 0 for m in run(main)) == 5


# ── failures ──


def test_retry_after_and_retryable_are_columns(server: Running) -> None:
    rows = {fault: sent(endpoint(server, f"fault={fault}")) for fault in ("429", "429_date", "429_money", "503", "401")}
    assert {fault: m.retryable for fault, m in rows.items()} == {
        "429": True, "429_date": True, "429_money": False, "503": True, "401": False,
    }  # fmt: skip
    assert rows["429"].retry_after_s == 7
    assert 20 < (rows["429_date"].retry_after_s or 0) <= 30
    assert rows["503"].retry_after_s == 0.5
    assert [rows[fault].http_status for fault in rows] == [429, 429, 429, 503, 401]


def test_no_connection_is_a_row_without_a_send(server: Running) -> None:
    m = sent(
        endpoint(server, key_ref=None).__class__(**{**vars(endpoint(server)), "base_url": "http://127.0.0.1:9/v1"})
    )
    assert (m.status, m.sent_ns, m.http_status, m.retryable) == ("connect_error", None, None, True)
    assert "127.0.0.1:9" in (m.error or "")


@pytest.mark.parametrize("fault", ["echo_auth", "echo_auth_in_band", "echo_auth_garbage", "echo_auth_answer"])
def test_a_server_that_echoes_the_key_gets_it_into_no_row_and_no_error(server: Running, fault: str) -> None:
    m = sent(endpoint(server, f"fault={fault}"))
    text = repr(m)
    assert "Bearer ***" in text
    assert KEY not in text
    assert KEY[:12] not in text
    client = Client(endpoint(server))
    assert KEY not in repr(vars(client)) + repr(client.secrets)


def test_an_answer_that_is_finished_but_never_closed_is_an_answer(server: Running) -> None:
    m = sent(endpoint(server, "fault=stall_after_finish", stall_timeout_s=0.2))
    assert (m.status, m.answer) == ("ok", "bananas")


def test_a_cancelled_request_closes_its_connection_and_offers_its_row(server: Running) -> None:
    rows: list[Measurement] = []

    async def main() -> None:
        async with Client(endpoint(server, "tokens=1000&gap_ms=5")) as client:
            task = asyncio.create_task(client.send(ask(), on_cancel=rows.append))
            await asyncio.sleep(0.15)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert client.inflight == 0
            # The pool has not kept the half-read connection.
            again = await client.send(Request(request_id="after", request_key="k", prompt="x", max_tokens=3))
            assert (again.status, again.connection_reused) == ("truncated", False)

    run(main)
    assert [m.status for m in rows] == ["cancelled"]
    deadline = time.monotonic() + 5
    while not any(t.request_id == rows[0].request_id for t in server.log()):
        assert time.monotonic() < deadline, "the server never saw the connection close"
        time.sleep(0.01)
    assert server.truth(rows[0].request_id).over == "client gone"


def test_cancelling_before_the_head_closes_too(server: Running) -> None:
    rows: list[Measurement] = []

    async def main() -> None:
        async with Client(endpoint(server, "fault=stall_headers")) as client:
            task = asyncio.create_task(client.send(ask(), on_cancel=rows.append))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main)
    assert rows[0].status == "cancelled"
    assert rows[0].sent_ns is not None


def test_a_deadline_names_itself(server: Running) -> None:
    def timed_out(plan: str, **limits: float) -> str:
        m = sent(endpoint(server, plan, **limits))
        assert (m.status, m.retryable) == ("timeout", True)
        return m.error or ""

    assert "no token within 0.2 s" in timed_out("fault=stall_first", first_token_timeout_s=0.2)
    assert "silence of 0.2 s" in timed_out("fault=stall_mid", stall_timeout_s=0.2)
    assert "no complete answer within 0.3 s" in timed_out("tokens=1000&gap_ms=10", total_timeout_s=0.3)


def test_a_burst_of_hundreds_of_requests_is_answered(server: Running) -> None:
    async def main() -> list[Measurement]:
        async with Client(endpoint(server, "tokens=10&gap_ms=1")) as client:
            return await asyncio.gather(*(client.send(ask()) for _ in range(200)))

    assert {m.status for m in run(main)} == {"ok"}


# ── connections ──


def test_a_kept_connection_is_used_again_and_the_row_says_so(server: Running) -> None:
    rows = send(endpoint(server), *(ask() for _ in range(4)))
    assert [m.connection_reused for m in rows] == [False, True, True, True]
    assert len({server.truth(m.request_id).connection for m in rows}) == 1


@pytest.mark.parametrize("fault", ["drop_idle", "drop_on_reuse", "close", "until_close"])
def test_a_connection_the_server_closed_is_replaced_without_a_failed_row(server: Running, fault: str) -> None:
    rows = send(endpoint(server, f"fault={fault}"), *(ask() for _ in range(3)))
    assert [m.status for m in rows] == ["ok"] * 3
    assert [m.connection_reused for m in rows] == [False] * 3


def test_no_more_connections_than_allowed(server: Running) -> None:
    requests = [ask() for _ in range(12)]

    async def main() -> list[Measurement]:
        async with Client(endpoint(server, "tokens=2&ttft_ms=5"), max_connections=2) as client:
            return await asyncio.gather(*(client.send(request) for request in requests))

    rows = run(main)
    assert {m.status for m in rows} == {"ok"}
    assert len({server.truth(m.request_id).connection for m in rows}) == 2


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, new_event_loop], ids=["asyncio", "uvloop"])
def test_it_runs_on_both_loops(server: Running, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> Measurement:
        async with Client(endpoint(server, "tokens=20&gap_ms=1")) as client:
            return await client.send(ask())

    with asyncio.Runner(loop_factory=new_loop) as runner:
        m = runner.run(main())
    assert (m.status, m.chunks, m.stamp_source) == ("ok", 20, "kernel")


# ── beside the stream ──


def test_models_and_json_are_read_and_failures_raised(server: Running) -> None:
    async def main() -> None:
        async with Client(endpoint(server)) as client:
            assert await client.models() == ["fake"]
            assert (await client.get_json("/models"))["object"] == "list"
        async with Client(
            Endpoint(target_id="x", base_url="http://127.0.0.1:9/v1", wire="openai_chat", model="m")
        ) as client:
            with pytest.raises(Unreachable):
                await client.models()

    run(main)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(401, json={"error": "no"}), Refused),
        (httpx.Response(429, json={"error": "no"}), RateLimited),
        (httpx.Response(200, text="<html>"), Garbled),
        (httpx.Response(200, json={"data": 3}), Garbled),
    ],
)
def test_a_models_page_that_is_none_raises(server: Running, response: httpx.Response, error: type[Exception]) -> None:
    async def main() -> None:
        async with Client(endpoint(server), transport=httpx.MockTransport(lambda _: response)) as client:
            with pytest.raises(error):
                await client.models()

    run(main)


def test_probe_finds_a_server_and_says_none_where_there_is_none(server: Running) -> None:
    assert run(lambda: probe(server.url)) == ["fake"]
    assert run(lambda: probe("http://127.0.0.1:9/v1")) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wire": "openai_chatt"}, "openai_chat"),
        ({"key_ref": "env:NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"base_url": "localhost:8000"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://[::1/v1"}, "base_url"),
    ],
)
def test_a_wrong_endpoint_is_a_config_error_before_anything_is_sent(
    server: Running, wrong: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        Client(Endpoint(**{**vars(endpoint(server)), **wrong}))


def test_a_request_the_wire_cannot_carry_raises_before_it_is_sent(server: Running) -> None:
    with pytest.raises(ConfigError):
        sent(endpoint(server), ask(echo=True))
    assert key_of(endpoint(server)) == KEY


def test_a_base_url_may_hold_a_query(server: Running) -> None:
    url = f"{server.url}/deployments/x?api-version=2024-10-21"
    m = sent(Endpoint(**{**vars(endpoint(server)), "base_url": url}))
    assert m.status == "ok"
    assert server.truth(m.request_id).path == "/v1/deployments/x/chat/completions?api-version=2024-10-21"


def test_the_garbage_collector_is_as_it_was_when_the_last_client_has_closed(server: Running) -> None:
    import gc

    async def main() -> None:
        async with Client(endpoint(server)) as one:
            async with Client(endpoint(server)) as other:
                assert (await other.send(ask())).status == "ok"
            assert gc.get_freeze_count() > 0
            assert (await one.send(ask())).status == "ok"

    run(main)
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("lane", ["httpx", "raw"])
@pytest.mark.parametrize("fault", ["plain", "429", "reset", "error_in_band"])
def test_an_answer_leaves_nothing_to_the_garbage_collector(server: Running, lane: Any, fault: str) -> None:
    """What only a full collection would free piles up under load, where none is made."""
    target = endpoint(server, f"tokens=4&fault={fault}")

    async def main() -> list[str]:
        async with Client(target, lane=lane) as client:
            await client.send(client.prepare(ask()))
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                for _ in range(5):
                    await client.send(client.prepare(ask()))
                gc.collect()
                return [type(left).__name__ for left in gc.garbage]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()

    assert run(main) == []
