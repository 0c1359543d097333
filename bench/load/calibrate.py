"""What has to be known of a target before its load: what a token is there, whether answers' lengths can be fixed.

A handful of requests, one after the other; each becomes a row of kind `warmup`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from bench.client import Client
from bench.errors import EngineError, RequestError
from bench.load.prompts import WORDS, Recipe
from bench.records import ANSWERED, Endpoint, Measurement, Message, Request

FILLERS = (" a", "a", ".", "!", " the")
ANSWER_TOKENS = 24
PROBE_WORDS = (16, 80)
"""Prompts of so many words tell what a word costs where there is no tokenizer to ask."""
PROOF_TOKENS = 200
LEAST_CONTEXT = 64
"""A server that says less has said nothing."""
TOKENIZER_S = 5.0
"""A tokenizer that takes longer is done without."""
MOST_IN_TOKENS, MOST_OUT_TOKENS = 1_500, 100
"""More than all requests of a calibration together."""
_REPEATS = 8
_PATIENCE = 3


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found out, and said where it could not be."""

    recipe: Recipe
    fixed_lengths: bool
    """The server generates as many tokens as asked, end mark or not."""
    context_tokens: int | None
    e2e_s: float
    """Of one short answer with nothing else under way."""
    counts_tokens: bool
    """Whether the server says how many tokens an answer has."""
    notes: tuple[str, ...]


class Calibrator:
    """Asks one target; `keep` gets each row."""

    def __init__(self, client: Client, keep: Callable[[Measurement], None], *, try_ignore_eos: bool) -> None:
        self._client = client
        self._keep = keep
        self._ignore_eos = try_ignore_eos
        self._notes: list[str] = []
        self._rng = random.Random()
        self.context_tokens: int | None = None

    async def calibrate(self, *, local: bool) -> Calibration:
        """Raises EngineError when the target answers nothing at all. `local`: a `/tokenize` may be there to ask."""
        first = await self._first()
        words, cost, filler = (None, 1, None) if not local else await self._tokenizer()
        if words is None:
            recipe = await self._by_usage()
        else:
            plain = Recipe(words=words, cost=cost, filler=filler, overhead=0, exact=False)
            recipe = await self._proved(plain)
        return Calibration(
            recipe=recipe,
            fixed_lengths=self._ignore_eos,
            context_tokens=self.context_tokens,
            e2e_s=((first.end_ns or 0) - (first.sent_ns or 0)) / 1e9,
            counts_tokens=first.out_tokens is not None,
            notes=tuple(self._notes),
        )

    async def _first(self) -> Measurement:
        """The first answer; settles whether `ignore_eos` is taken and kept."""
        text = "".join(f" {word}" for word in self._rng.choices(WORDS, k=12))
        first = await self._asked(text, ANSWER_TOKENS)
        if self._ignore_eos and first.http_status in (400, 422):
            self._ignore_eos = False
            self._notes.append("the server does not take ignore_eos: answers end where the model ends them")
            first = await self._asked(text, ANSWER_TOKENS)
        if first.status not in ANSWERED:
            raise EngineError(f"{first.target_id}: nothing to load: {first.status}: {first.error}")
        if self._ignore_eos and first.out_tokens != ANSWER_TOKENS:
            self._ignore_eos = False
            made = "said not how many" if first.out_tokens is None else f"made {first.out_tokens} of {ANSWER_TOKENS}"
            self._notes.append(f"lengths of answers are not fixed: with ignore_eos the server {made} tokens")
        return first

    async def _tokenizer(self) -> tuple[tuple[str, ...] | None, int, str | None]:
        """(words of one cost, their cost, filler) by the server's `/tokenize`; (None, 1, None) where there is none."""
        if await self._count("hello") is None:
            return None, 1, None
        spaced = [f" {word}" for word in WORDS]
        costs = dict(zip(spaced, await asyncio.gather(*map(self._cost, spaced)), strict=True))
        counted = Counter(cost for cost in costs.values() if cost)
        if not counted:
            return None, 1, None
        cost = counted.most_common(1)[0][0]
        fillers = [text for text in FILLERS if await self._cost(text) == 1]
        return tuple(word for word in spaced if costs[word] == cost), cost, fillers[0] if fillers else None

    async def _cost(self, text: str) -> int | None:
        """Tokens of a text among others of its kind; None if that is no whole number."""
        once, often = [await self._count(text * n) for n in (1, 1 + _REPEATS)]
        if once is None or often is None or (often - once) % _REPEATS:
            return None
        return (often - once) // _REPEATS

    async def _count(self, text: str) -> int | None:
        body = {"model": self._client.endpoint.model, "prompt": text, "content": text}
        try:
            told = await self._client.post_json("/tokenize", body, beside=True, timeout_s=TOKENIZER_S)
        except RequestError:
            return None
        if not isinstance(told, dict):
            return None
        if isinstance(told.get("max_model_len"), int) and told["max_model_len"] >= LEAST_CONTEXT:
            self.context_tokens = told["max_model_len"]
        count, tokens = told.get("count"), told.get("tokens")
        return count if isinstance(count, int) else len(tokens) if isinstance(tokens, list) else None

    async def _by_usage(self) -> Recipe:
        """What the server's own counts of two prompts say of a word."""
        spaced = tuple(f" {word}" for word in WORDS)
        plain = Recipe(words=spaced, cost=1, filler=None, overhead=0, exact=False)
        counts = [(await self._asked(plain.prompt(n, self._rng), 1)).in_tokens for n in PROBE_WORDS]
        if None in counts:
            self._notes.append("the server counts no prompt tokens: prompts are of about the length asked")
            return plain
        few, many = (count or 0 for count in counts)
        words, more = PROBE_WORDS[1] - PROBE_WORDS[0], many - few
        if more <= 0 or more % words:
            self._notes.append(f"{words} words are {more} tokens here: prompts are of about the length asked")
            cost = max(1, round(more / words))
            return replace(plain, cost=cost, overhead=max(0, few - PROBE_WORDS[0] * cost))
        cost = more // words
        return await self._proved(replace(plain, cost=cost, overhead=few - PROBE_WORDS[0] * cost))

    async def _proved(self, recipe: Recipe) -> Recipe:
        """With the overhead that the server counts, and whether a prompt then comes out as asked."""
        for _ in range(2):
            got = (await self._asked(recipe.prompt(PROOF_TOKENS, self._rng), 1)).in_tokens
            if got is None:
                self._notes.append("the server counts no prompt tokens: lengths are those of its tokenizer, unproved")
                return recipe
            if got == PROOF_TOKENS:
                return replace(recipe, exact=True)
            recipe = replace(recipe, overhead=max(0, recipe.overhead + got - PROOF_TOKENS))
        if recipe.filler is None and recipe.cost > 1:
            self._notes.append(f"prompts come in steps of {recipe.cost} tokens: no text of one token was found")
        else:
            self._notes.append(f"a prompt of {PROOF_TOKENS} tokens came out as {got}: lengths are near, not exact")
        return recipe

    async def _asked(self, text: str, answer_tokens: int) -> Measurement:
        """One answer, asked again a few times while that can help."""
        for attempt in range(_PATIENCE):
            request = request_of(
                self._client.endpoint, text, answer_tokens, ignore_eos=self._ignore_eos, kind="warmup", attempt=attempt
            )
            found = await self._client.send(request)
            self._keep(found)
            if found.status in ANSWERED or not found.retryable:
                break
            await asyncio.sleep(min(found.retry_after_s or 0.5, 5.0))
        return found


def request_of(endpoint: Endpoint, text: str, answer_tokens: int, *, ignore_eos: bool, **more: Any) -> Request:
    """One request of a load; `more` are fields of Request."""
    plain = endpoint.wire == "openai_completions"
    identity = uuid4().hex
    extra = {**more.pop("extra", {}), **({"ignore_eos": True} if ignore_eos else {})}
    return Request(
        request_id=identity,
        request_key=identity,
        kind=more.pop("kind", "load"),
        messages=None if plain else (Message(role="user", content=text),),
        prompt=text if plain else None,
        max_tokens=answer_tokens,
        extra=extra,
        **more,
    )
