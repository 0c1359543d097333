"""The fast way through a stream: events that differ from the last decoded one in nothing but their text.

Most payloads of a stream are the same bytes around a different string. Once a decoded payload is known to be
`head + text + tail`, another payload with this head and tail, and plain characters between them, is the same JSON with
another string in the same place, so it needs no parsing: the lexer is inside that string after `head`, nothing between
can end it, and `tail` closes it. That the string is the event's text, and nothing else, is tried out when learning.
Only for wires that say `VERBATIM`.
"""

from __future__ import annotations

from bench.errors import Garbled
from bench.wires import Event, Wire

_PROBE = "probe of a text field 7f3a"
_TRIES = 8
"""A stream whose every event is different is not learned from for ever."""
_LASTING = (
    "usage", "timings", "response_id", "model", "fingerprint", "routed_provider", "provider_usd", "service_tier",
)  # fmt: skip
"""Fields of which a stream's last word counts."""


class Pattern:
    """What the last learned payload of one stream looks like around its text."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._head = self._tail = b""
        self._shortest = 0
        self._learned = Event()
        self._tries = _TRIES if getattr(wire, "VERBATIM", False) else 0

    def text_of(self, payload: bytes) -> str:
        """The text of a payload of the learned shape; empty if it must be decoded."""
        head, tail = self._head, self._tail
        if not head or len(payload) <= self._shortest or not payload.startswith(head) or not payload.endswith(tail):
            return ""
        inner = payload[len(head) : -len(tail)]
        if b'"' in inner or b"\\" in inner:
            return ""
        try:
            text = inner.decode()
        except UnicodeDecodeError:
            return ""
        return text if text.isprintable() else ""

    def learn(self, payload: bytes, event: Event) -> None:
        """Takes a decoded event as the new pattern, if its text stands in the payload once and as it is.

        Forgets the old one when the event says otherwise than it did: skipping its like would hide the change back.
        """
        if self._head and self._contradicts(event):
            self._head = b""
        if not event.text or not self._tries or event.logprobs or event.finish_reason is not None or event.error:
            return
        if event.reasoning or event.tool or event.refusal or event.tool_calls:
            return
        head, found, tail = payload.partition(b'"%b"' % event.text.encode("utf-8", "replace"))
        self._tries -= 1
        if not found:
            return
        head, tail = head + b'"', b'"' + tail
        try:
            probed = self._wire.decode(head + _PROBE.encode() + tail)
        except Garbled:
            return
        if probed == event._replace(text=_PROBE):
            self._head, self._tail, self._learned = head, tail, event
            self._shortest = len(head) + len(tail)

    def _contradicts(self, event: Event) -> bool:
        pairs = ((getattr(event, name), getattr(self._learned, name)) for name in _LASTING)
        return any(said is not None and before is not None and said != before for said, before in pairs)
