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


class Pattern:
    """What the last learned payload of one stream looks like around its text."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._head = self._tail = b""
        self._shortest = 0
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
        """Takes a decoded event as the new pattern, if its text stands in the payload once and as it is."""
        if not event.text or not self._tries or event.logprobs or event.finish_reason is not None or event.error:
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
            self._head, self._tail = head, tail
            self._shortest = len(head) + len(tail)
