"""What is found out of a target before its load, against a server whose tokens and manners are known."""

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from bench.client import Client, new_event_loop
from bench.errors import EngineError
from bench.load.calibrate import ANSWER_TOKENS, PROOF_TOKENS, Calibration, Calibrator, request_of
from bench.load.prompts import WORDS
from bench.records import Endpoint, Measurement
from tests.fake import MAX_MODEL_LEN, Running, fake_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with fake_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@dataclass
class Found:
    calibration: Calibration
    rows: list[Measurement]
    prompts: list[int]
    """What the server counted of prompts built afterwards, for each of ASKED."""


ASKED = (60, 200, 1000)


def calibrated(
    url: str,
    plan: str = "",
    *,
    local: bool = True,
    ignore_eos: bool = True,
    wire: str = "openai_chat",
    asked: tuple[int, ...] = (),
) -> Found:
    endpoint = Endpoint(target_id="t", base_url=url, wire=wire, model=f"fake?{plan}")
    rows: list[Measurement] = []

    async def main() -> Found:
        async with Client(endpoint) as client:
            found = await Calibrator(client, rows.append, try_ignore_eos=ignore_eos).calibrate(local=local)
            texts = [found.recipe.prompt(tokens, Random(tokens)) for tokens in asked]
            sent = [await client.send(request_of(endpoint, text, 1, ignore_eos=False)) for text in texts]
            return Found(found, rows, [one.in_tokens or 0 for one in sent])

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


@pytest.mark.parametrize("wire", ["openai_chat", "openai_completions"])
@pytest.mark.parametrize("template", [0, 11])
@pytest.mark.parametrize("local", [True, False], ids=["by its tokenizer", "by its usage"])
def test_prompts_come_out_as_asked_and_the_template_is_allowed_for(
    server: Running, wire: str, template: int, local: bool
) -> None:
    found = calibrated(server.url, f"template_tokens={template}", local=local, wire=wire, asked=ASKED)
    recipe = found.calibration.recipe
    assert (recipe.exact, recipe.cost, recipe.overhead) == (True, 1, template)
    assert found.prompts == list(ASKED)
    assert found.calibration.notes == ()


def test_a_tokenizer_tells_words_filler_and_context(server: Running) -> None:
    found = calibrated(server.url).calibration
    assert found.recipe.words == tuple(f" {word}" for word in WORDS)
    assert found.recipe.filler == " a"
    assert found.context_tokens == MAX_MODEL_LEN


def test_where_no_tokenizer_may_be_asked_none_is(server: Running) -> None:
    before = len(server.log())
    found = calibrated(server.url, local=False).calibration
    assert found.context_tokens is None
    assert not any("tokenize" in truth.path for truth in server.log()[before:])


def test_ignore_eos_that_is_kept_fixes_lengths(server: Running) -> None:
    found = calibrated(server.url, "ttft_ms=30&gap_ms=5")
    assert found.calibration.fixed_lengths
    assert found.rows[0].out_tokens == ANSWER_TOKENS
    assert 0.03 + 0.005 * (ANSWER_TOKENS - 1) <= found.calibration.e2e_s < 5


def test_ignore_eos_that_is_taken_and_not_kept_is_said(server: Running) -> None:
    found = calibrated(server.url, "tokens=5").calibration
    assert not found.fixed_lengths
    assert found.notes == ("lengths of answers are not fixed: with ignore_eos the server made 5 of 24 tokens",)
    assert found.recipe.exact, "prompts are another matter"


def test_where_ignore_eos_may_not_be_asked_it_is_not(server: Running) -> None:
    before = len(server.log())
    assert not calibrated(server.url, ignore_eos=False).calibration.fixed_lengths
    assert not any("ignore_eos" in truth.body for truth in server.log()[before:])


def test_a_server_that_counts_nothing_has_lengths_of_its_tokenizer_unproved(server: Running) -> None:
    found = calibrated(server.url, "fault=usage_missing").calibration
    assert not found.recipe.exact
    assert not found.fixed_lengths
    assert any("unproved" in note for note in found.notes)


def test_without_tokenizer_and_usage_lengths_are_about_those_asked(server: Running) -> None:
    found = calibrated(server.url, "fault=usage_missing", local=False).calibration
    assert (found.recipe.exact, found.recipe.cost, found.recipe.overhead) == (False, 1, 0)
    assert "the server counts no prompt tokens: prompts are of about the length asked" in found.notes


def test_a_missing_count_is_said_in_a_sentence(server: Running) -> None:
    notes = calibrated(server.url, "fault=usage_missing").calibration.notes
    assert not any("says no count tokens" in note for note in notes)


def test_every_request_is_a_row_of_the_kind_warmup(server: Running) -> None:
    found = calibrated(server.url)
    assert {row.kind for row in found.rows} == {"warmup"}
    assert [row.status for row in found.rows] == ["truncated"] * len(found.rows)
    assert len({row.request_id for row in found.rows}) == len(found.rows) == 2
    assert found.rows[-1].in_tokens == PROOF_TOKENS


def test_an_overloaded_server_is_asked_again(server: Running) -> None:
    found = calibrated(server.url, "fault=half_429")  # by turns: answered, refused for a second
    assert found.calibration.recipe.exact
    assert [row.status for row in found.rows].count("http_error") == 1


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("fault=401", "http_error"),
        ("fault=404", "http_error"),
        ("fault=500_html", "http_error"),
        ("fault=not_http", "garbled"),
        ("fault=html_200", "garbled"),
        ("fault=400", "http_error"),
    ],
)
def test_a_server_that_answers_nothing_is_an_engine_error_of_one_line(
    server: Running, plan: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.load.calibrate._PATIENCE", 1)
    with pytest.raises(EngineError) as told:
        calibrated(server.url, plan)
    assert str(told.value).startswith(f"t: nothing to load: {said}: ")
    assert "\n" not in str(told.value)


def test_a_server_that_is_not_there_is_an_engine_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineError) as told:
        calibrated(f"http://127.0.0.1:{port}/v1")
    assert str(told.value).startswith("t: nothing to load: connect_error: ")
    assert "\n" not in str(told.value)


# ── other tokenizers and manners ──────────────────────────────────────────────────────────────────────────────────


class Odd:
    """A server that counts characters, each `per` of which are a token, and may refuse `ignore_eos`."""

    def __init__(self, *, per: int = 1, refuses: int | None = None, tokenizer: bool = True, begin: int = 1) -> None:
        self.per, self.refuses, self.tokenizer, self.begin = per, refuses, tokenizer, begin
        self.refused = 0

    def count(self, text: str) -> int:
        return -(-len(text) // self.per) + self.begin

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                status, kind, body = self.answer(head.split()[1].decode(), json.loads(await reader.readexactly(length)))
                writer.write(
                    b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(body))
                )
                writer.write(body)
        except asyncio.IncompleteReadError:
            writer.close()

    def answer(self, path: str, asked: dict[str, object]) -> tuple[int, bytes, bytes]:
        if path.endswith("tokenize"):
            if not self.tokenizer:
                return 404, b"application/json", b'{"error": {"message": "no such path"}}'
            tokens = list(range(self.count(str(asked["content"]))))  # as llama.cpp says it
            return 200, b"application/json", json.dumps({"tokens": tokens}).encode()
        if self.refuses and "ignore_eos" in asked:
            self.refused += 1
            error = {"error": {"message": "unknown field ignore_eos", "type": "invalid_request_error"}}
            return self.refuses, b"application/json", json.dumps(error).encode()
        usage = {"prompt_tokens": self.count(str(asked["prompt"])), "completion_tokens": asked["max_tokens"]}
        events = [
            {
                "id": "x",
                "object": "text_completion",
                "choices": [{"index": 0, "text": "so", "finish_reason": "length"}],
            },
            {"id": "x", "object": "text_completion", "choices": [], "usage": usage},
        ]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return 200, b"text/event-stream", text.encode()


def odd_calibrated(odd: Odd, *, local: bool = True) -> Found:
    rows: list[Measurement] = []

    async def main() -> Found:
        server = await asyncio.start_server(odd.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        endpoint = Endpoint(target_id="odd", base_url=url, wire="openai_completions", model="odd")
        try:
            async with Client(endpoint) as client:
                calibrator = Calibrator(client, rows.append, try_ignore_eos=True)
                calibrator._rng = Random(1)  # the same words every time
                found = await calibrator.calibrate(local=local)
        finally:
            server.close()
        prompts = [odd.count(found.recipe.prompt(tokens, Random(tokens))) for tokens in ASKED]
        return Found(found, rows, prompts)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_does_not_take_ignore_eos_is_loaded_without(status: int) -> None:
    odd = Odd(refuses=status)
    found = odd_calibrated(odd)
    assert not found.calibration.fixed_lengths
    assert found.calibration.notes == ("the server does not take ignore_eos: answers end where the model ends them",)
    assert odd.refused == 1, "it is not asked for again"
    assert [row.http_status for row in found.rows][:2] == [status, 200]


def test_a_tokenizer_of_characters_is_met_with_words_of_one_length_and_single_letters() -> None:
    found = odd_calibrated(Odd(begin=3))
    recipe = found.calibration.recipe
    assert {len(word) for word in recipe.words} == {recipe.cost}
    assert len(recipe.words) > 10
    assert recipe.filler is not None
    assert (len(recipe.filler), recipe.overhead, recipe.exact) == (1, 3, True)
    assert found.prompts == list(ASKED)


def test_words_of_no_whole_number_of_tokens_are_left_out() -> None:
    found = odd_calibrated(Odd(per=5, begin=0))
    recipe = found.calibration.recipe
    assert recipe.words == tuple(f" {word}" for word in WORDS if len(word) == 4)  # with its space: one token
    assert recipe.cost == 1
    assert found.prompts == list(ASKED)


def test_without_a_tokenizer_words_of_many_costs_make_lengths_near_and_not_exact() -> None:
    found = odd_calibrated(Odd(tokenizer=False))
    assert not found.calibration.recipe.exact
    assert any("about the length asked" in note or "near, not exact" in note for note in found.calibration.notes)


def test_and_they_are_about_as_long_as_asked() -> None:
    found = odd_calibrated(Odd(tokenizer=False))
    assert found.calibration.recipe.overhead < 20  # the truth is 1
    assert all(0.8 * asked < got < 1.25 * asked for asked, got in zip(ASKED[1:], found.prompts[1:], strict=True))


# ── the engine of our own ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_embedded_engine_gets_exact_prompts_and_fixed_lengths(tmp_path: Path) -> None:
    from bench.catalog import load, target
    from bench.quality import borrowed

    with borrowed(target("embedded:nano", load()), log=tmp_path / "engine.log") as endpoint:
        rows: list[Measurement] = []

        async def main() -> tuple[Calibration, list[int | None]]:
            async with Client(endpoint) as client:
                found = await Calibrator(client, rows.append, try_ignore_eos=True).calibrate(local=True)
                texts = [found.recipe.prompt(tokens, Random(tokens)) for tokens in (70, 101, 128)]
                sent = [await client.send(request_of(endpoint, text, 4, ignore_eos=True)) for text in texts]
                assert [one.out_tokens for one in sent] == [4, 4, 4]
                return found, [one.in_tokens for one in sent]

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            found, counted = runner.run(main())
    assert found.recipe.exact
    assert found.fixed_lengths
    assert counted == [70, 101, 128]
    assert found.context_tokens is not None
