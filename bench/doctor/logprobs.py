"""Log-probabilities: true, refused, or invented. Echoed ones are held against those of the answer itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bench.doctor.visit import PLAIN, Visit, answered, refused, why
from bench.records import TokenLogprob
from bench.wires.common import number

TOP = 5
TOLERANCE = 0.15
"""Nats. Batches and kernels move a log-probability by hundredths; a shift by one token moves it by whole units."""


async def logprobs(visit: Visit) -> None:
    """Those of the answer, then those of an echoed prompt where the wire has them."""
    text = "Name a colour." if visit.chat else PLAIN
    if visit.endpoint.quirks.get("logprobs") is False:
        visit.tell("logprobs", "note", "declared unusable; not looked at")
        return
    if not visit.changes(visit.request(text, logprobs=TOP), visit.request(text)):
        visit.tell("logprobs", "note", "not on this wire")
        return
    answer = await visit.ask(text, logprobs=TOP)
    if not answered(answer):
        told = "refused" if refused(answer) else "the question with them failed"
        visit.tell(
            "logprobs", "note", f"{told}: {why(answer)}", quirks={"logprobs": False} if refused(answer) else None
        )
        return
    if not answer.logprobs:
        visit.tell("logprobs", "note", "asked for, and none came", quirks={"logprobs": False})
        return
    if wrong := _impossible(answer.logprobs) or _top_wrong(visit):
        visit.tell("logprobs", "bad", f"wrong: {wrong}", quirks={"logprobs": False})
        return
    n, beside = len(answer.logprobs), "the likeliest beside, " if any(_tops(visit)) else ""
    visit.tell("logprobs", "ok", f"{n} with the answer, {beside}all of them probabilities")
    await _echo(visit, text, answer.answer or "", tuple(_covering(answer.answer or "", answer.logprobs)))


def _impossible(tokens: tuple[TokenLogprob, ...]) -> str | None:
    values = [each.logprob for each in tokens if each.logprob is not None]
    if not values:
        return "no number among them"
    if max(values) > 1e-4 or any(math.isnan(value) for value in values):
        return f"{max(values):g} is no logarithm of a probability"
    if len(values) > 2 and len(set(values)) == 1:
        return f"every token has the same, {values[0]:g}"
    return None


def _top_wrong(visit: Visit) -> str | None:
    """Looks at the alternatives as they came, on the wires of OpenAI's shape."""
    for token, chosen, top in _tops(visit):
        values = [value for value in map(number, top.values()) if value is not None]
        total = sum(math.exp(min(value, 1.0)) for value in values)
        if total > 1.01:
            return f"the likeliest tokens' probabilities sum to {total:.2f}"
        if token in top and chosen is not None and abs((number(top[token]) or 0.0) - chosen) > 0.01:
            return f"{token!r} has {chosen:g}, and {top[token]} among the likeliest"
        if token not in top and chosen is not None and len(values) >= TOP and chosen > max(values) + 1e-3:
            return f"{token!r} is likelier than the likeliest, and not among them"
    return None


def _tops(visit: Visit) -> Iterator[tuple[str, float | None, dict[str, Any]]]:
    for payload in visit.payloads():
        for choice in payload.get("choices") or []:
            told = choice.get("logprobs") if isinstance(choice, dict) else None
            if not isinstance(told, dict):
                continue
            for entry in told.get("content") or []:
                top = {str(each.get("token")): each.get("logprob") for each in entry.get("top_logprobs") or []}
                if top:
                    yield str(entry.get("token")), number(entry.get("logprob")), top
            tokens, values = told.get("tokens") or [], told.get("token_logprobs") or []
            for token, value, top in zip(tokens, values, told.get("top_logprobs") or [], strict=False):
                if isinstance(top, dict) and top:
                    yield str(token), number(value), top


async def _echo(visit: Visit, prompt: str, answer: str, generated: tuple[TokenLogprob, ...]) -> None:
    """The prompt with its answer, echoed: the answer's tokens must have the log-probabilities they were chosen with."""
    echo = visit.request(prompt + answer, cap=1, logprobs=1, echo=True)
    if visit.chat or not visit.changes(echo, visit.request(prompt + answer, cap=1)):
        return
    answers = [await visit.send(visit.request(prompt + answer, cap=1, logprobs=1, echo=True)) for _ in range(2)]
    failed = next((m for m in answers if not answered(m)), None)
    if failed is not None:
        visit.tell("echo", "note", f"refused: {why(failed)}; log-likelihood tasks can't run")
        return
    first, second = (m.logprobs or () for m in answers)
    if not first:
        visit.tell("echo", "note", "asked for, and no log-probabilities of the prompt came")
        return
    if wrong := _echo_wrong(prompt + answer, first, second, generated):
        visit.tell("echo", "bad", f"log-probabilities of a prompt are wrong: {wrong}", quirks={"logprobs": False})
        return
    start = "the first null" if first[0].logprob is None else "the first with a value"
    visit.tell(
        "echo", "ok", f"{len(first)} log-probabilities of a prompt, {start}, equal on repeat and to the answer's"
    )


def _echo_wrong(
    text: str, first: tuple[TokenLogprob, ...], second: tuple[TokenLogprob, ...], generated: tuple[TokenLogprob, ...]
) -> str | None:
    echoed, again = _covering(text, first), _covering(text, second)
    values = [each.logprob for each in echoed[1:]]
    if any(value is None for value in values):
        return f"{values.count(None)} tokens after the first have none"
    if wrong := _impossible(tuple(echoed)):
        return wrong
    pairs = zip(echoed, again, strict=False)
    if any(abs((a.logprob or 0) - (b.logprob or 0)) > TOLERANCE for a, b in pairs):
        return "the same prompt has others on repeat"
    tail = echoed[-len(generated) :] if generated else []
    if [each.token for each in tail] != [each.token for each in generated]:
        return None  # cut into other tokens than it was generated in
    for chosen, shown in zip(generated, tail, strict=True):
        had, got = chosen.logprob or 0.0, shown.logprob or 0.0
        if abs(had - got) > TOLERANCE:
            return f"{chosen.token!r} was chosen with {had:.3f} and is echoed with {got:.3f}: shifted, or invented"
    return None


def _covering(text: str, tokens: tuple[TokenLogprob, ...]) -> list[TokenLogprob]:
    """The tokens that make up the prompt, without what was generated after it."""
    out, length = [], 0
    for each in tokens:
        if length >= len(text):
            break
        out.append(each)
        length += len(each.token)
    return out
