"""A wire that keeps what went through it: the stream's bytes, its payloads, and what was sent."""

from __future__ import annotations

from bench.records import Endpoint, Request
from bench.wires import Decode, Event, Framing, Outgoing, Wire, decoder_of, framing_of, listing_path


class Tape:
    """Stands in for a wire in one client whose requests follow one another; holds the newest stream."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.LISTING = listing_path(wire)
        self.raw = bytearray()
        self.payloads: list[bytes] = []
        self.sent: Outgoing | None = None

    def encode(self, endpoint: Endpoint, request: Request) -> Outgoing:
        self.sent = self._wire.encode(endpoint, request)
        return self.sent

    def decode(self, payload: bytes) -> Event:
        return self._wire.decode(payload)

    def decoder(self, endpoint: Endpoint) -> Decode:
        """The wire's own, for one stream; what was kept of the last one goes."""
        self.raw, self.payloads = bytearray(), []
        kept, inner = self.payloads, decoder_of(self._wire, endpoint)

        def decode(payload: bytes) -> Event:
            kept.append(payload)
            return inner(payload)

        return decode

    def framing(self) -> Framing:
        return _Heard(framing_of(self._wire), self.raw)


class _Heard:
    def __init__(self, inner: Framing, raw: bytearray) -> None:
        self._inner, self._raw = inner, raw

    def feed(self, piece: bytes) -> list[bytes]:
        self._raw += piece
        return self._inner.feed(piece)

    def close(self) -> list[bytes]:
        return self._inner.close()
