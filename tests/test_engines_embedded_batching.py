"""Who gets the next token, and which."""

import asyncio
from collections import Counter

import numpy as np
import pytest

from bench.engines.embedded.alphabet import BOS, EOS, UNK, VOCABULARY, encode
from bench.engines.embedded.batching import CHUNK, MOST_AT_ONCE, PREFILLS, SEATS, Batcher, Job, pick
from bench.engines.embedded.family import family
from bench.engines.embedded.forward import load, log_softmax

A, B = encode("ab")


@pytest.fixture(scope="module")
def model():
    return load(family()[0].path)


class Client:
    """Keeps what one job was given and at which tick."""

    def __init__(self, batcher, text="a", limit=5, **options):
        self.batcher, self.tokens, self.ticks, self.logs, self.echoed, self.end = batcher, [], [], [], [], None
        self.job = Job(
            prompt=[BOS, *encode(text)],
            limit=limit,
            token=self._token,
            done=self._done,
            **{"ignore_eos": True} | options,
        )
        batcher.submit(self.job)

    def _token(self, token, logs):
        self.tokens.append(token)
        self.logs.append(logs)
        self.ticks.append(self.batcher.ticks)
        return True

    def _done(self, reason):
        self.end = reason


class Counted(Batcher):
    """A batcher that knows how often it ticked."""

    ticks = 0

    def tick(self):
        self.ticks += 1
        return super().tick()


def run_out(batcher, at_most=5000):
    for _ in range(at_most):
        if not batcher.tick():
            return
    raise AssertionError("still busy")


def test_a_long_generation_does_not_hold_up_a_short_one(model):
    batcher = Counted(model)
    long = Client(batcher, limit=500)
    for _ in range(20):
        batcher.tick()
    begun = batcher.ticks
    short = Client(batcher, limit=10)
    while short.end is None:
        batcher.tick()
    assert batcher.ticks - begun <= 11
    assert len(long.tokens) >= 30


def test_with_more_requests_than_seats_every_one_gets_its_share(model):
    batcher = Counted(model)
    clients = [Client(batcher, limit=40) for _ in range(SEATS * 2)]
    for _ in range(40):
        batcher.tick()
    made = [len(client.tokens) for client in clients]
    assert max(made) - min(made) <= SEATS * 2 / PREFILLS + 1
    run_out(batcher)
    assert {len(client.tokens) for client in clients} == {40}


def test_a_burst_of_long_prompts_does_not_stop_a_running_answer(model):
    batcher = Counted(model)
    running = Client(batcher, limit=60)
    batcher.tick()
    for _ in range(30):
        Client(batcher, text="a" * CHUNK * 3, limit=1)
    for _ in range(20):
        batcher.tick()
    assert len(running.tokens) >= 20


def test_more_requests_than_caches_wait_and_are_all_answered(model):
    batcher = Counted(model)
    clients = [Client(batcher, limit=2) for _ in range(MOST_AT_ONCE + 20)]
    batcher.tick()
    assert len(batcher.filling) + len(batcher.decoding) <= MOST_AT_ONCE
    run_out(batcher)
    assert [client.end for client in clients] == ["length"] * len(clients)


def test_greedy_answers_do_not_depend_on_company(model):
    def answers(texts, together):
        batcher = Counted(model)
        clients = []
        for text in texts:
            clients.append(Client(batcher, text, limit=12, ignore_eos=False))
            if not together:
                run_out(batcher)
        run_out(batcher)
        return [(c.tokens, c.end, [float(log[t]) for t, log in zip(c.tokens, c.logs, strict=True)]) for c in clients]

    texts = [f"copy: {'abcdefgh'[:k]}\nAnswer:" for k in range(1, 9)] + [f"{k}+{k}=\nAnswer:" for k in range(30)]
    assert answers(texts, together=True) == answers(texts, together=False)


def test_echoed_log_probabilities_equal_those_met_step_by_step(model):
    batcher = Counted(model)
    made = Client(batcher, "max: 17 42\nAnswer:", limit=40)
    run_out(batcher)
    text = "max: 17 42\nAnswer:" + "".join(VOCABULARY[t] for t in made.tokens)
    echoed = []
    Client(batcher, text, limit=0, echoed=lambda logs: echoed.append(logs))
    run_out(batcher)
    rows = np.concatenate(echoed)
    assert len(rows) == len(text) + 1
    np.testing.assert_allclose(rows[len(text) - 40 : len(text)], np.stack(made.logs), atol=1e-4)


def test_a_cancelled_request_leaves_at_once(model):
    batcher = Counted(model)
    waiting, gone = Client(batcher, limit=3), Client(batcher, limit=500)
    batcher.tick()
    gone.job.cancelled = True
    run_out(batcher, at_most=10)
    assert (waiting.end, gone.end) == ("length", None)


def test_a_refusing_receiver_ends_its_request_with_stop(model):
    batcher = Counted(model)
    client = Client(batcher, limit=50)
    client.job.token = lambda token, logs: False
    run_out(batcher)
    assert (client.end, client.job.made) == ("stop", 1)


def test_the_loop_sleeps_until_there_is_news(model):
    async def scene():
        batcher = Counted(model)
        running = asyncio.create_task(batcher.run())
        await asyncio.sleep(0.01)
        idle = batcher.ticks
        await asyncio.sleep(0.01)
        assert batcher.ticks == idle
        ended = asyncio.Event()
        Client(batcher, limit=3).job.done = lambda _: ended.set()
        await asyncio.wait_for(ended.wait(), 10)
        running.cancel()

    asyncio.run(scene())


def logits(**shares):
    out = np.full(len(VOCABULARY), -30.0, np.float32)
    for letter, share in shares.items():
        out[encode(letter)[0]] = np.log(share)
    return out


def job(**options):
    return Job(prompt=[BOS], limit=1, token=lambda *_: True, done=lambda _: None, **options)


def test_temperature_zero_takes_the_favourite_and_never_a_mark():
    favoured = logits(a=0.6, b=0.4)
    favoured[[BOS, UNK]] = 5.0
    assert pick(favoured, job()) == A


def test_draws_follow_the_probabilities():
    drawer = job(temperature=1.0, seed=7)
    drawn = Counter(pick(logits(a=0.7, b=0.3), drawer) for _ in range(2000))
    assert set(drawn) == {A, B}
    assert 0.66 < drawn[A] / 2000 < 0.74


def test_low_temperature_sharpens_and_top_p_cuts_the_tail():
    sharp = Counter(
        pick(logits(a=0.7, b=0.3), drawer) for drawer in [job(temperature=0.25, seed=1)] for _ in range(500)
    )
    assert sharp[A] / 500 > 0.93
    assert {pick(logits(a=0.7, b=0.3), job(temperature=2.0, top_p=0.5, seed=s)) for s in range(50)} == {A}


def test_a_seed_repeats_its_draws():
    def draws(seed):
        drawer = job(temperature=1.0, seed=seed)
        return [pick(logits(a=0.5, b=0.5), drawer) for _ in range(64)]

    assert draws(3) == draws(3) != draws(4)


def test_ignoring_the_end_never_picks_it():
    ending = logits(a=0.1)
    ending[EOS] = 3.0
    assert pick(ending, job()) == EOS
    assert pick(ending, job(ignore_eos=True)) == A
    assert np.isfinite(log_softmax(ending)).all()
