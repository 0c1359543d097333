"""OpenAI's requests in, OpenAI's answers out, as plain dictionaries: no socket, no model.

Beyond OpenAI: `ignore_eos`, and `echo` with log-probabilities on completions. The first echoed token has a real
log-probability (after `<bos>`), where OpenAI gives null. The end mark is never shown and never counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bench.engines.embedded.alphabet import BOS, VOCABULARY, encode
from bench.engines.embedded.forward import Array

Json = dict[str, Any]
Call = Literal["chat", "completion"]
TOP_MOST = 20


class BadRequest(Exception):
    """Answered in OpenAI's error shape; `param` is the field at fault."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status

    def body(self) -> Json:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One validated request."""

    call: Call
    model: str
    prompt: list[int]
    """With `<bos>`."""
    limit: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool
    top: int | None
    """How many alternatives to list; None = no log-probabilities at all."""
    echo: bool
    ignore_eos: bool


def parse(call: Call, raw: bytes, contexts: dict[str, int]) -> Ask:
    """The request in `raw`, for one of the models in `contexts` (name -> longest sequence), or BadRequest."""
    body = parse_json(raw)
    model = known_model(body, contexts)
    if _field(body, "n", int, 1) != 1:
        raise BadRequest(f"n must be 1 here, got {body['n']!r}", param="n")
    prompt = _chat_prompt(body) if call == "chat" else _completion_prompt(body)
    options = _field(body, "stream_options", dict, {})
    return Ask(
        call=call,
        model=model,
        prompt=prompt,
        limit=_limit(body, call, len(prompt), contexts[model]),
        temperature=_number(body, "temperature", 1.0, 0.0, 2.0),
        top_p=_number(body, "top_p", 1.0, 0.0, 1.0),
        seed=abs(seed) if (seed := _field(body, "seed", int, None)) is not None else None,
        stop=_stop(body),
        stream=_field(body, "stream", bool, False),
        include_usage=bool(options.get("include_usage", False)),
        top=_top(body, call),
        echo=call == "completion" and _field(body, "echo", bool, False),
        ignore_eos=_field(body, "ignore_eos", bool, False),
    )


def parse_json(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body must be a JSON object, got {type(body).__name__}", code="invalid_json")
    return body


def known_model(body: Json, contexts: dict[str, int]) -> str:
    """The request's `model`, or the only one served where it names none."""
    model: str = _field(body, "model", str, next(iter(contexts)) if len(contexts) == 1 else "")
    if model not in contexts:
        message = f"The model {model!r} does not exist; here are: {', '.join(contexts)}"
        raise BadRequest(message, param="model", code="model_not_found", status=404)
    return model


def tokenized(body: Json, model: str, context: int) -> Json:
    """Answer of `/tokenize`."""
    text: str = _field(body, "prompt", str, "")
    tokens = [BOS, *encode(text)] if _field(body, "add_special_tokens", bool, True) else encode(text)
    return {"model": model, "tokens": tokens, "count": len(tokens), "max_model_len": context}


def usage(prompt_tokens: int, completion_tokens: int) -> Json:
    """`prompt_tokens` holds `<bos>`; `completion_tokens` are those shown, or cut off by a stop text."""
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def chat_logprobs(shown: Sequence[tuple[int, Array]], top: int) -> Json:
    def entry(token: int, logs: Array) -> Json:
        text = VOCABULARY[token]
        return {"token": text, "logprob": float(logs[token]), "bytes": list(text.encode())}

    best = [[entry(t, logs) for t in _best(logs, top)] for _, logs in shown]
    return {"content": [entry(*s) | {"top_logprobs": b} for s, b in zip(shown, best, strict=True)]}


def completion_logprobs(shown: Sequence[tuple[int, Array]], top: int, offset: int) -> Json:
    """`offset` = characters of the text before the first of `shown`."""
    return {
        "tokens": [VOCABULARY[token] for token, _ in shown],
        "token_logprobs": [float(logs[token]) for token, logs in shown],
        "top_logprobs": [{VOCABULARY[t]: float(logs[t]) for t in _best(logs, top)} for _, logs in shown],
        "text_offset": [offset + i for i in range(len(shown))],
    }


def _best(logs: Array, top: int) -> list[int]:
    return [int(t) for t in np.argsort(-logs, kind="stable")[:top]]


def _field(body: Json, name: str, kind: type, default: Any) -> Any:
    """body[name] of the right type; null means absent. A bool is no number here."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadRequest(f"{name} must be {kind.__name__}, got {value!r:.80}", param=name)
    return value


def _number(body: Json, name: str, default: float, low: float, high: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}, got {value!r:.80}", param=name)
    return float(value)


def _chat_prompt(body: Json) -> list[int]:
    """The chat template of the family: the last user message, as it is."""
    messages = _field(body, "messages", list, [])
    if not messages:
        raise BadRequest("messages must be a list with at least one message", param="messages")
    for i, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("system", "developer", "user", "assistant"):
            raise BadRequest(f"messages[{i}] needs a role: system, user or assistant", param=f"messages[{i}].role")
    asked = [(i, m.get("content")) for i, m in enumerate(messages) if m["role"] == "user"]
    if not asked:
        raise BadRequest("messages holds no user message", param="messages")
    return [BOS, *encode(_content(*asked[-1]))]


def _content(i: int, content: object) -> str:
    """Text, or OpenAI's list of text parts."""
    if isinstance(content, str):
        return content
    param = f"messages[{i}].content"
    if not isinstance(content, list):
        raise BadRequest(f"{param} must be text, got {type(content).__name__}", param=param)
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(content) or not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{param} may hold parts of type text only", param=param)
    return "".join(map(str, texts))


def _completion_prompt(body: Json) -> list[int]:
    """Text, a list of one text, or token numbers as `/tokenize` gives them."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str | list):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return [BOS, *encode(prompt)]
    if isinstance(prompt, list) and prompt and all(type(t) is int and 0 <= t < len(VOCABULARY) for t in prompt):
        return prompt if prompt[0] == BOS else [BOS, *prompt]
    raise BadRequest("prompt must be one text or one list of token numbers", param="prompt")


def _limit(body: Json, call: Call, prompt: int, context: int) -> int:
    """Most tokens to generate: as asked, else 16 (completions) or what the context leaves (chat)."""
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    limit: int = _field(body, name, int, 16 if call == "completion" else max(1, context - prompt))
    least = 0 if call == "completion" and body.get("echo") else 1
    if limit < least:
        raise BadRequest(f"{name} must be at least {least}, got {limit}", param=name)
    if prompt + limit > context:
        message = (
            f"This model's maximum context length is {context} tokens. However, you requested {prompt + limit} tokens "
            f"({prompt} in the prompt, {limit} in the completion)."
        )
        at_fault = name if prompt < context else "messages" if call == "chat" else "prompt"
        raise BadRequest(message, param=at_fault, code="context_length_exceeded")
    return limit


def _stop(body: Json) -> tuple[str, ...]:
    stop = body.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > 16 or not all(isinstance(s, str) and s for s in stops):
        raise BadRequest(f"stop must be a text or a list of up to 16 texts, got {stop!r:.80}", param="stop")
    return tuple(stops)


def _top(body: Json, call: Call) -> int | None:
    """How many alternatives: chat says `logprobs: true, top_logprobs: k`, completions `logprobs: k`."""
    if call == "completion":
        top = _field(body, "logprobs", int, None)
    else:
        wanted = _field(body, "logprobs", bool, False)
        top = _field(body, "top_logprobs", int, 0 if wanted else None)
        if top is not None and not wanted:
            raise BadRequest("top_logprobs needs logprobs: true", param="top_logprobs")
    if top is not None and not 0 <= top <= TOP_MOST:
        name = "logprobs" if call == "completion" else "top_logprobs"
        raise BadRequest(f"{name} must be 0 to {TOP_MOST}, got {top}", param=name)
    return None if top is None else int(top)
