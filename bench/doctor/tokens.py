"""How prompts are counted: tokens per word, what a template adds, characters of several bytes, the context."""

from __future__ import annotations

from bench.doctor.visit import Visit, answered, why
from bench.errors import RequestError
from bench.wires.common import count

WORDS = (20, 60)
TORTURE = "naïve 🙂 日本語"
MOJIBAKE = ("\ufffd", "Ã¯", "ð\x9f", "ðŸ", "æ—", "\\ud83d")
TOKENIZE = "/tokenize"


async def counting(visit: Visit) -> None:
    """The slope and the constant of prompt tokens over words, and against the server's own tokenizer if it has one."""
    counted = []
    for words in WORDS:
        answer = await visit.ask(" ".join(["sea"] * words), cap=16)
        if not answered(answer) or answer.in_tokens is None:
            told = "prompt tokens are not counted" if answered(answer) else why(answer)
            visit.tell("tokenizer", "note", f"can't be told: {told}")
            return
        counted.append(answer.in_tokens)
    slope = (counted[1] - counted[0]) / (WORDS[1] - WORDS[0])
    if slope <= 0:
        visit.tell(
            "tokenizer",
            "bad",
            f"{WORDS[0]} words count as {counted[0]} tokens, {WORDS[1]} as {counted[1]}: usage ignores the prompt",
        )
        return
    visit.tokens_per_word = slope
    constant = counted[0] - slope * WORDS[0]
    told = f"{slope:.2f} tokens for the word 'sea' and a blank, {constant:.0f} for the template"
    own = await _own(visit)
    if own is None:
        visit.tell("tokenizer", "ok", told)
    elif abs(own - slope) <= 0.02 * slope:
        visit.tell("tokenizer", "ok", f"{told}; its own {TOKENIZE} counts the same")
    else:
        visit.tell("tokenizer", "bad", f"{told}, but its own {TOKENIZE} counts {own:.2f} for the word: usage is wrong")


async def _own(visit: Visit) -> float | None:
    """The slope by the server's tokenizer; None where it has none. Known hosts are not asked."""
    if visit.target.provider is not None and visit.target.layer not in ("on-device", "self-hosted"):
        return None
    counted = []
    for words in WORDS:
        body = {"model": visit.endpoint.model, "prompt": " ".join(["sea"] * words)}
        try:
            answer = await visit.client.post_json(TOKENIZE, body, beside=True, timeout_s=10)
        except RequestError:
            return None
        n = count(answer.get("count")) if isinstance(answer, dict) else None
        if n is None:
            return None
        counted.append(n)
    return (counted[1] - counted[0]) / (WORDS[1] - WORDS[0])


async def characters(visit: Visit) -> None:
    """Characters of two, three and four bytes, said back through the stream."""
    text = f"Repeat exactly: {TORTURE}" if visit.chat else f"copy: {TORTURE}\nAnswer:"
    answer = await visit.ask(text, cap=32)
    got = answer.answer or ""
    broken = next((sign for sign in MOJIBAKE if sign in got), None)
    if not answered(answer):
        visit.tell("characters", "bad", f"{TORTURE!r} in a prompt fails: {why(answer)}")
    elif TORTURE in got:
        visit.tell("characters", "ok", f"{TORTURE!r} comes back intact")
    elif broken is not None and any(part in got for part in ("na", "日", "語")):
        visit.tell("characters", "bad", f"{TORTURE!r} comes back as {got[:60]!r}: characters are broken on the way")
    else:
        visit.tell("characters", "note", f"taken; the model did not say {TORTURE!r} back: {got[:40]!r}")


def context(visit: Visit) -> None:
    """Where the listing said nothing: what the catalogue knows."""
    if visit.context_tokens is not None:
        return
    model = visit.catalog.model_of(visit.target)
    if model is not None and model.context_tokens:
        visit.context_tokens = model.context_tokens
        visit.tell("context", "ok", f"{model.context_tokens:,} tokens by our catalogue; the server does not say")
    else:
        visit.tell("context", "note", "neither the server nor our catalogue says how long a prompt may be")
