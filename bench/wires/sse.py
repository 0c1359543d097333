"""Cuts a byte stream into the `data` payloads of server-sent events, however the reads fell.

Rules: WHATWG HTML, section 9.2.6. Lines end in LF, CRLF or CR and in nothing else (U+2028 is legal inside JSON), so the
stream is cut as bytes and never decoded here. Three liberties, all needed by servers seen: the last event may lack its
empty line; an empty payload is a heartbeat and dropped; a bare JSON object on a line of its own is a payload (errors
sent without `data:`, NDJSON).
"""

from __future__ import annotations

from bench.errors import Garbled

MAX_FRAME_BYTES = 64 * 2**20
_BOM = b"\xef\xbb\xbf"


class Framer:
    """One per stream: feed it what arrives, close it at the end."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_bytes = max_frame_bytes
        self._carry: list[bytes] = []
        self._carry_bytes = 0
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._at_start = True
        self._skip_lf = False
        self._between = False
        """Nothing is half-read: the next byte begins a line of a new event."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that this piece completed; `Garbled` when one grows past the cap."""
        if not self._between or b"\r" in piece or piece[-2:] != b"\n\n":
            return self._lines(piece)
        # A whole number of frames with LF ends, as most servers send them; most often one of one line.
        if piece.find(b"\n") == len(piece) - 2 and piece[:6] == b"data: ":
            return [piece[6:-2]] if len(piece) > 8 else []
        payloads: list[bytes] = []
        for frame in piece[:-2].split(b"\n\n"):
            if frame[:6] == b"data: " and len(frame) > 6 and b"\n" not in frame:
                payloads.append(frame[6:])
            else:
                payloads += self._lines(frame + b"\n\n")
        return payloads

    def close(self) -> list[bytes]:
        """What was left without its empty line."""
        payloads: list[bytes] = []
        if self._carry:
            line = b"".join(self._carry)
            self._carry.clear()
            self._line(line, payloads)
        self._line(b"", payloads)
        return payloads

    def _lines(self, piece: bytes) -> list[bytes]:
        if self._skip_lf and piece:
            # The LF of a CRLF that fell between two reads is not an empty line.
            piece = piece[1:] if piece[:1] == b"\n" else piece
            self._skip_lf = False
        if b"\r" in piece:
            self._skip_lf = piece[-1:] == b"\r"
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = piece.split(b"\n")
        payloads: list[bytes] = []
        for line in whole:
            if self._carry:
                line = b"".join((*self._carry, line))
                self._carry.clear()
                self._carry_bytes = 0
            self._line(line, payloads)
        if rest:
            self._carry.append(rest)
            self._carry_bytes += len(rest)
        self._between = not (self._carry or self._open or self._at_start or self._skip_lf)
        if self._carry_bytes + self._open_bytes > self._max_bytes:
            raise Garbled(f"one event of the stream is larger than {self._max_bytes >> 20} MiB; it was given up")
        return payloads

    def _line(self, line: bytes, payloads: list[bytes]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._open:
                payload = b"\n".join(self._open)
                if payload:
                    payloads.append(payload)
                self._open.clear()
                self._open_bytes = 0
        elif line.startswith(b"data:"):
            self._open.append(line[6:] if line[5:6] == b" " else line[5:])
            self._open_bytes += len(line)
        elif line.startswith(b"{"):
            payloads.append(line)
