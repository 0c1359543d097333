"""From one validated request to the bytes of its answer: starts the job, gathers tokens, writes events or a body."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Protocol

from bench.engines.embedded.alphabet import VOCABULARY, decode
from bench.engines.embedded.batching import Batcher, Job
from bench.engines.embedded.forward import Array
from bench.engines.embedded.protocol import Ask, Json, chat_logprobs, completion_logprobs, usage

Shown = list[tuple[int, Array]]
"""Tokens with the log-probabilities (v,) they were drawn from."""


class Sink(Protocol):
    """The open answer of one connection."""

    def event(self, data: bytes) -> None: ...
    def finish(self, body: Json | None) -> None:
        """Ends a stream (None) or sends the whole body."""


@dataclass(frozen=True)
class Served:
    """One loaded model."""

    name: str
    batcher: Batcher
    fingerprint: str


class Answer:
    """One request under way. Text that may be the beginning of a stop text is held back until it is clear."""

    def __init__(self, ask: Ask, served: Served, sink: Sink) -> None:
        self.ask, self.served, self.sink = ask, served, sink
        self.id = f"{'chatcmpl' if ask.call == 'chat' else 'cmpl'}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.echoed: Shown = []
        self.held: Shown = []
        self.shown: Shown = []
        self.stopped = False
        self.job = Job(
            prompt=ask.prompt,
            limit=ask.limit,
            token=self._token,
            done=self._done,
            echoed=self._echo if ask.echo else None,
            temperature=ask.temperature,
            top_p=ask.top_p,
            seed=ask.seed,
            ignore_eos=ask.ignore_eos,
        )
        if ask.stream and ask.call == "chat":
            self._send(self._choice(delta={"role": "assistant", "content": ""}, finish_reason=None))
        served.batcher.submit(self.job)

    def cancel(self) -> None:
        """The client is gone."""
        self.job.cancelled = True

    def _echo(self, logs: Array) -> None:
        """logs (s, v): what follows the next s prompt tokens; the last prompt token is followed by the answer."""
        begin = len(self.echoed) + 1
        self.echoed += zip(self.ask.prompt[begin : begin + len(logs)], logs, strict=False)

    def _token(self, token: int, logs: Array) -> bool:
        self.held.append((token, logs))
        text = "".join(VOCABULARY[t] for t, _ in self.held)
        cut = min((at for stop in self.ask.stop if (at := text.find(stop)) >= 0), default=None)
        if cut is not None:
            self.stopped, self.held = True, self.held[:cut]
            return False
        safe = len(text) - max((_overlap(text, stop) for stop in self.ask.stop), default=0)
        self._show(safe)
        return True

    def _show(self, n: int) -> None:
        """Release the first n held tokens; in a stream they are one event."""
        if n and self.ask.stream:
            self._send(self._choice(**self._piece(self.held[:n]), finish_reason=None))
        self.shown += self.held[:n]
        self.held = self.held[n:]

    def _done(self, reason: str) -> None:
        self._show(len(self.held))
        counts = usage(len(self.ask.prompt), self.job.made)
        if not self.ask.stream:
            whole = self._choice(**self._piece(self.shown), finish_reason=reason)
            return self.sink.finish(self._envelope([whole]) | {"usage": counts})
        if not self.shown:  # the echo has not gone out with a first token
            self._send(self._choice(**self._piece([]), finish_reason=reason))
        else:
            empty: Json = {"delta": {}} if self.ask.call == "chat" else {"text": "", "logprobs": None}
            self._send(self._choice(**empty, finish_reason=reason))
        if self.ask.include_usage:
            self._event(self._envelope([]) | {"usage": counts})
        self.sink.event(b"data: [DONE]\n\n")
        return self.sink.finish(None)

    def _piece(self, tokens: Shown) -> Json:
        """`tokens` as part of a choice. On completions an echo goes before the first of them."""
        top = self.ask.top
        if self.ask.call == "chat":
            text = decode(t for t, _ in tokens)
            name = "delta" if self.ask.stream else "message"
            content: Json = {"content": text} if self.ask.stream else {"role": "assistant", "content": text}
            return {name: content, "logprobs": None if top is None else chat_logprobs(tokens, top)}
        before = 0 if not self.shown or not self.ask.stream else len(self.echoed) + len(self.shown)
        if self.ask.echo and not before:
            tokens = self.echoed + tokens
        text = "".join(VOCABULARY[t] for t, _ in tokens)
        return {"text": text, "logprobs": None if top is None else completion_logprobs(tokens, top, before)}

    def _choice(self, *, finish_reason: str | None, **parts: object) -> Json:
        return {"index": 0, **parts, "finish_reason": finish_reason}

    def _envelope(self, choices: list[Json]) -> Json:
        kind = "text_completion" if self.ask.call == "completion" else "chat.completion"
        return {
            "id": self.id,
            "object": f"{kind}.chunk" if self.ask.stream and self.ask.call == "chat" else kind,
            "created": self.created,
            "model": self.served.name,
            "system_fingerprint": self.served.fingerprint,
            "choices": choices,
        }

    def _send(self, choice: Json) -> None:
        self._event(self._envelope([choice]))

    def _event(self, body: Json) -> None:
        self.sink.event(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
