"""What costs more to find out, so only on demand: an overlong prompt, a cache, streams side by side, a cut answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from uuid import uuid4

from bench.doctor.findings import State
from bench.doctor.visit import COUNTING, PLAIN, Visit, answered, refused, why
from bench.records import Measurement

OVER = 1.1
MOST_TOKENS = 300_000
AT_ONCE = 8
CACHED_WORDS = 1500


async def overlong(visit: Visit) -> None:
    """A prompt longer than the context must be refused; a 200 that counts fewer tokens has lost its head."""
    known, per_word = visit.context_tokens, visit.tokens_per_word
    if known is None or per_word is None or known * OVER > MOST_TOKENS:
        visit.tell(
            "overlong prompt", "note", "not sent: the context is unknown, uncounted, or larger than 300,000 tokens"
        )
        return
    words = int(known * OVER / per_word)
    answer = await visit.ask(" ".join(["sea"] * words), cap=16)
    sent = int(words * per_word)
    if not answered(answer):
        state: State = "ok" if refused(answer) or answer.http_status == 413 else "note"
        visit.tell("overlong prompt", state, f"{sent:,} tokens are refused: {why(answer)}")
    elif answer.in_tokens is not None and answer.in_tokens < 0.95 * sent:
        visit.tell(
            "overlong prompt",
            "bad",
            f"cut in silence: of {sent:,} tokens {answer.in_tokens:,} were read, and no error said so; "
            "answers to long prompts can't be trusted",
        )
    else:
        visit.tell("overlong prompt", "note", f"{sent:,} tokens are taken: the context is larger than {known:,}")


async def cache(visit: Visit) -> None:
    """The same long prompt twice: whether what is cached is told, and what it saves."""
    per_word = visit.tokens_per_word or 2.0
    words = min(CACHED_WORDS, int((visit.context_tokens or CACHED_WORDS * 4) / per_word / 2))
    text = f"{uuid4().hex} " + " ".join(["sea"] * words)
    answers = [await visit.ask(text, cap=16) for _ in range(2)]
    if not all(map(answered, answers)):
        visit.tell("cache", "note", f"a prompt of {words} words failed: {why(answers[-1])}")
        return
    first, second = (_ttft_ms(m) for m in answers)
    cached = answers[1].in_cached_tokens
    told = f"the second time {cached} of {answers[1].in_tokens} tokens from the cache" if cached else "no cache told"
    faster = first and second and second < 0.6 * first
    visit.tell(
        "cache",
        "note",
        (f"{told}; first token {first:.0f} ms, then {second:.0f} ms" if first and second else told)
        + ("; load runs must not repeat a prompt's head" if cached or faster else ""),
    )


async def side_by_side(visit: Visit) -> None:
    """Eight streams at once: all of them, or one after another."""
    text = COUNTING if visit.chat else PLAIN
    alone = await visit.ask(text, cap=32)
    answers = await asyncio.gather(*(visit.ask(text, cap=32) for _ in range(AT_ONCE)))
    lost = [m for m in answers if not answered(m)]
    if lost:
        visit.tell(
            "side by side",
            "bad" if len(lost) < AT_ONCE else "note",
            f"{len(lost)} of {AT_ONCE} streams at once failed: {why(lost[0])}",
            options={"concurrency": 1},
        )
        return
    spans = sorted((m.first_token_ns, m.last_token_ns) for m in answers if m.first_token_ns and m.last_token_ns)
    overlaps = sum(b[0] < a[1] for (a, b) in pairwise(spans))
    waits = sorted(ttft for m in answers if (ttft := _ttft_ms(m)) is not None)
    if spans and overlaps == 0 and waits[-1] > 3 * max(_ttft_ms(alone) or 0, 1.0):
        visit.tell(
            "side by side",
            "note",
            f"one after another: first tokens after {waits[0]:.0f} to {waits[-1]:.0f} ms",
            options={"concurrency": 1},
        )
    else:
        visit.tell(
            "side by side",
            "ok",
            f"{AT_ONCE} streams at once, first tokens after {waits[0]:.0f} to {waits[-1]:.0f} ms"
            if waits
            else "all answered",
            options={} if visit.target.options.concurrency else {"concurrency": AT_ONCE},
        )


async def cancel(visit: Visit) -> None:
    """A stream that is dropped: the next question must not wait for it."""
    before = await visit.ask("Say: ok")
    cut: list[Measurement] = []
    task = asyncio.create_task(visit.client.send(visit.request(COUNTING, cap=200), on_cancel=cut.append))
    await asyncio.sleep(max(0.05, 2 * (_ttft_ms(before) or 0) / 1e3))
    over = task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        visit.count(await task)
    for row in cut:
        visit.count(row)
    after = await visit.ask("Say: ok")
    if over:
        visit.tell("cancel", "note", "the answer was over before it could be dropped")
    elif not answered(after):
        visit.tell("cancel", "bad", f"after a dropped stream the next question fails: {why(after)}")
    elif (_ttft_ms(after) or 0) > 3 * max(_ttft_ms(before) or 0, 50.0):
        visit.tell("cancel", "note", "after a dropped stream the next question waits: the server went on answering it")
    else:
        visit.tell("cancel", "ok", "after a dropped stream the next question is as quick as before")


def _ttft_ms(answer: Measurement) -> float | None:
    if answer.first_token_ns is None or answer.sent_ns is None:
        return None
    return (answer.first_token_ns - answer.sent_ns) / 1e6
