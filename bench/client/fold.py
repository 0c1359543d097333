"""Folds the events of one answer, each with the stamp of the read that completed it, into a Measurement.

Pure: bytes and stamps in, a row out. Nothing here knows how the bytes came.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

from pydantic_core import from_json

from bench.client.failures import in_band, one_line
from bench.client.pattern import Pattern
from bench.client.schema import follows
from bench.errors import Broken, Garbled, RateLimited, Refused, RequestError, ServerFault
from bench.records import Endpoint, Request, Status, TokenLogprob, ToolCall
from bench.wires import Event, Framing, Timings, ToolDelta, Usage, Wire, decoder_of, framing_of
from bench.wires.finish import status_of

Redact = Callable[[str], str]
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")
_NOT_RAW = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_OPEN, _CLOSE = "<think>", "</think>"


class UnknownEnd(Garbled):
    """A finish reason nobody has described: not taken for a good end, and the next answer would end the same."""


class Fold:
    """One answer being put together; `take` what arrived, `close` at its end, then read `columns`."""

    def __init__(self, wire: Wire, endpoint: Endpoint, request: Request, redact: Redact = str) -> None:
        self._wire = wire
        self._decode = decoder_of(wire, endpoint)
        self._endpoint = endpoint
        self.quirks = endpoint.quirks
        self._request = request
        self._redact = redact
        self._framer: Framing | None = framing_of(wire)
        self._whole: list[tuple[int, bytes]] = []
        self._texts: list[str] = []
        self._text_ns: list[int] = []
        self._thoughts: list[str] = []
        self._refusal = ""
        self._logprobs: list[TokenLogprob] = []
        self._tools: dict[int, ToolDelta] = {}
        self._timings: Timings | None = None
        self._usage: Usage | None = None
        self._pattern = Pattern(wire)
        self._echo_pending = request.echo
        self._last_ns = 0
        self._row: dict[str, Any] = {}
        self.token_ns: list[int] = []
        """Stamps of the token-bearing events; one entry each."""
        self.end_ns: int | None = None
        """Stamp of the event with the finish reason: set as soon as the answer is complete."""
        self.finish_reason: str | None = None
        self.done = False

    def expect_json(self) -> None:
        """The server says that it ignored `stream`: the whole body is one event, unless it is a stream all the same."""
        self._framer = None

    def take(self, arrived: Iterable[tuple[int, bytes]]) -> None:
        """Pieces of the body with their stamps, in order; raises `ServerFault` or `Garbled` as an event says."""
        for stamp, piece in arrived:
            self._last_ns = stamp
            if self._framer is None:
                self._whole.append((stamp, piece))
            else:
                self._cut(self._framer, stamp, piece)

    def _cut(self, framer: Framing, stamp: int, piece: bytes) -> None:
        for payload in framer.feed(piece):
            text = self._pattern.text_of(payload)
            if text:
                self._said(stamp, text)
            else:
                self._event(stamp, payload)

    def close(self) -> None:
        """The body has ended; raises `Broken` when no finish reason was seen."""
        framer = self._framer
        if framer is None:
            whole = b"".join(piece for _, piece in self._whole).strip()
            if _is_one_value(whole):
                self._event(self._last_ns, whole)
            else:
                framer = framing_of(self._wire)
                for stamp, piece in self._whole:
                    self._cut(framer, stamp, piece)
        if framer is not None:
            self._flush(framer)
        if self.end_ns is None and self.done and self._endpoint.quirks.get("end") == "done":
            self.end_ns, self.finish_reason = self._last_ns, "stop"
        if self.end_ns is None:
            raise Broken(f"the stream ended {self.progress()} without a finish reason")

    def _flush(self, framer: Framing) -> None:
        """The last event may lack its empty line; half an event is a cut, not garbage."""
        for payload in framer.close():
            try:
                self._event(self._last_ns, payload)
            except Garbled as error:
                if self.end_ns is None:
                    raise Broken(f"the stream ended inside an event, {self.progress()}") from error

    def progress(self) -> str:
        """How far the answer had come, for a message."""
        return f"after {len(self.token_ns)} token events" if self.token_ns else "before the first token"

    def _event(self, stamp: int, payload: bytes) -> None:
        event = self._decoded(payload)
        self._pattern.learn(payload, event)
        row = self._row
        if not row:
            row["first_event_ns"] = stamp
        if event.text or event.reasoning or event.tool or event.refusal:
            self._token(stamp, event)
        if event.finish_reason is not None and self.end_ns is None:
            self.end_ns, self.finish_reason = stamp, event.finish_reason
        if event.usage is not None:
            # The last word counts, but what it leaves out stands as it was said before.
            before = self._usage or Usage()
            self._usage = Usage(*(b if a is None else a for a, b in zip(event.usage, before, strict=True)))
        if event.timings is not None:
            self._timings = event.timings
        for piece in event.tool_calls:
            self._tools[piece.slot] = _joined_call(self._tools.get(piece.slot), piece)
        if event.logprobs:
            self._logprobs += event.logprobs
        for column, value in (
            ("response_id", event.response_id),
            ("response_model", event.model),
            ("system_fingerprint", event.fingerprint),
            ("routed_provider", event.routed_provider),
            ("provider_usd", event.provider_usd),
            ("service_tier", event.service_tier),
        ):
            if value is not None:
                row[column] = value
        self.done = self.done or event.done
        if event.error is not None:
            raise in_band(event.error, redact=self._redact)

    def _decoded(self, payload: bytes) -> Event:
        try:
            return self._decode(payload)
        except Garbled as error:
            raise Garbled(f"{error}: {self._snippet(payload)}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise Garbled(f"an event of the stream is not the wire's: {self._snippet(payload)}") from error

    def _snippet(self, payload: bytes) -> str:
        """The beginning of a payload for an error message; redacted before it is cut, so that no half key is left."""
        return repr(one_line(self._redact(payload[:4096].decode("utf-8", "replace")))[:80])

    def _said(self, stamp: int, text: str) -> None:
        """An event of visible text and nothing else that is new."""
        self._texts.append(text)
        self._text_ns.append(stamp)
        if self._echo_pending:
            # The echoed prompt is the server repeating us: it starts no clock.
            self._echo_pending = False
        else:
            self.token_ns.append(stamp)

    def _token(self, stamp: int, event: Event) -> None:
        if event.text:
            self._said(stamp, event.text)
        else:
            self.token_ns.append(stamp)
        if event.reasoning:
            self._thoughts.append(event.reasoning)
        self._refusal += event.refusal
        if event.tool or event.refusal:
            self._row.setdefault("first_said_ns", stamp)

    def status(self) -> Status:
        """The status of an answer that ended; raises for a finish reason that is a failure."""
        finish = self.finish_reason or ""
        status = status_of(finish)
        joined("".join(self._texts), strict=True)
        if self._refusal and status == "ok":
            return "refused"
        if status == "http_error":
            raise ServerFault(f"the server ended the answer with finish reason {finish!r}")
        if status is None:
            raise UnknownEnd(f"unknown finish reason {one_line(finish)!r}; it is not taken for a good end")
        if status == "garbled":
            raise Garbled(f"the server ended the answer with finish reason {finish!r}")
        return status

    def columns(self) -> dict[str, Any]:
        """The columns that the answer fills, also those of an answer that failed half-way."""
        row = dict(self._row)
        said_ns = row.pop("first_said_ns", None)
        answer, reasoning, answer_ns = self._parted()
        row["first_answer_ns"] = min((ns for ns in (said_ns, answer_ns) if ns is not None), default=None)
        tokens = self.token_ns
        row |= {
            "first_token_ns": tokens[0] if tokens else None,
            "last_token_ns": tokens[-1] if tokens else None,
            "chunks": len(tokens),
            "merged_reads": sum(
                1 for i, ns in enumerate(tokens) if i and ns == tokens[i - 1] and (i < 2 or ns != tokens[i - 2])
            ),
            "finish_reason": self._named(self.finish_reason),
            "answer": self._redact(answer) if answer or self.end_ns is not None else None,
            "reasoning": self._redact(reasoning) if reasoning else None,
            "logprobs": self._shown_logprobs(),
            "tool_calls": self._calls(),
        }
        for name in ("response_id", "response_model", "system_fingerprint", "routed_provider", "service_tier"):
            row[name] = self._named(row.get(name))
        if self.end_ns is not None:
            row["schema_valid"] = follows(self._request, row["answer"], row["tool_calls"])
        if self._timings is not None:
            row |= {f"server_{name}": value for name, value in self._timings._asdict().items()}
        return row | self._tokens()

    def _shown_logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """A secret may be spread over tokens: if there is one in their text, no token's is shown."""
        text = "".join(entry.token for entry in self._logprobs)
        if self._redact(text) != text:
            return tuple(TokenLogprob(token="***", logprob=entry.logprob) for entry in self._logprobs)
        return tuple(self._logprobs) or None

    def _calls(self) -> tuple[ToolCall, ...] | None:
        """The tool calls in the order of their slot; None where there were none."""
        pieces = [self._tools[slot] for slot in sorted(self._tools)]
        return tuple(
            ToolCall(
                id=self._named(piece.id),
                name=self._named(piece.name) or "",
                arguments=self._redact(joined(piece.arguments)),
            )
            for piece in pieces
        ) or None  # fmt: skip

    def _named(self, value: str | None) -> str | None:
        return None if value is None else one_line(self._redact(value))

    def _tokens(self) -> dict[str, Any]:
        if self._usage is None:
            return {}
        counts = self._usage._asdict()
        return counts | {"tokens_source": None if counts["out_tokens"] is None else "server"}

    def _parted(self) -> tuple[str, str, int | None]:
        """(answer, reasoning, stamp of the first event of the answer), inline thoughts cut out of the visible text."""
        raw = "".join(self._texts)
        start, thought = _thought(raw, tagged_elsewhere=bool(self._thoughts))
        reasoning = joined("".join(self._thoughts) + thought)
        answer = joined(raw[start:])
        if self._request.echo:
            return (
                answer.removeprefix(self._request.prompt or ""),
                reasoning,
                self.token_ns[0] if self.token_ns else None,
            )
        return answer or joined(self._refusal), reasoning, self._stamp_at(start) if start < len(raw) else None

    def _stamp_at(self, position: int) -> int:
        """Stamp of the event that brought this character of the visible text."""
        return self._text_ns[bisect_right(list(accumulate(map(len, self._texts))), position)]


def _is_one_value(body: bytes) -> bool:
    """Whether a body is JSON as a whole; what begins like it counts too, unless a line of it is JSON by itself."""
    try:
        from_json(body)
    except ValueError:
        head = body.partition(b"\n")[0].strip()
        try:
            from_json(head)
        except ValueError:
            return body[:1] in (b"{", b"[")
        return False
    return True


def _joined_call(so_far: ToolDelta | None, piece: ToolDelta) -> ToolDelta:
    """A call with one more piece; some servers repeat id and name with every piece."""
    if so_far is None:
        return piece
    name = so_far.name if piece.name in ("", so_far.name) else so_far.name + piece.name
    return ToolDelta(piece.slot, so_far.id or piece.id, name, so_far.arguments + piece.arguments)


def _thought(text: str, *, tagged_elsewhere: bool) -> tuple[int, str]:
    """(where the answer begins, the thought before it) of visible text that may begin with `<think>…</think>`.

    Some templates put the opening tag into the prompt, so only the closing one is seen: what comes before is reasoning,
    unless the host streams reasoning in a field of its own. An unclosed thought leaves no answer.
    """
    head = len(text) - len(text.lstrip())
    opened = text.startswith(_OPEN, head)
    close = text.find(_CLOSE)
    if not opened and (close < 0 or tagged_elsewhere or _OPEN in text[:close]):
        return 0, ""
    begin = head + len(_OPEN) if opened else 0
    if close < 0:
        return len(text), text[begin:]
    after = close + len(_CLOSE)
    return len(text) - len(text[after:].lstrip()), text[begin:close]


def joined(text: str, *, strict: bool = False) -> str:
    """Text whose characters were cut apart between events, put together again.

    Byte-level tokenisers cut a character over two events, as two surrogate escapes or as raw bytes (which wires carry
    as surrogate escapes too). A lone escape becomes U+FFFD, as the server's own replacement would be; so do bytes that
    are not UTF-8 even when joined, and `strict` raises `Garbled` for those.
    """
    if not _LONE.search(text):
        return text
    text = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    raw = _NOT_RAW.sub("\ufffd", text).encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8", "strict" if strict else "replace")
    except UnicodeDecodeError as error:
        raise Garbled(f"the answer is not UTF-8, even when its events are joined: {error.reason}") from error


def prompt_text(request: Request) -> str | None:
    """What was asked, for `request_text`: messages as JSON, or the plain prompt."""
    if request.messages is None:
        return request.prompt
    return json.dumps([{"role": m.role, "content": m.content} for m in request.messages], ensure_ascii=False)


def offsets(stamps: Sequence[int], sent_ns: int | None) -> tuple[int, ...]:
    """Stamps of the token events, counted from `sent_ns`."""
    return () if sent_ns is None else tuple(stamp - sent_ns for stamp in stamps)


def failure_columns(error: RequestError) -> dict[str, Any]:
    """The columns an error fills; `retryable` says whether asking again can help."""
    wait_s = error.retry_after_s if isinstance(error, (RateLimited, ServerFault)) else None
    row: dict[str, Any] = {"status": error.status, "error": str(error), "retry_after_s": wait_s}
    return row | {"retryable": not isinstance(error, (Refused, UnknownEnd))}
