"""Cuts a body of `application/vnd.amazon.eventstream` into its frames, checked, however the reads fell.

A frame is, big-endian: total length [4], length of the headers [4], CRC-32 of those eight bytes [4], headers, payload,
CRC-32 of everything before [4]. A header is: length of its name [1], name, type of its value [1], value.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html, and smithy.io's event streams.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import NamedTuple
from zlib import crc32

from bench.errors import Garbled

MAX_HEADER_BYTES = 128 << 10
MAX_PAYLOAD_BYTES = 24 << 20
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_FIXED = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q", 9: ">16s"}
_SIZED = {6, 7}

Value = bool | int | bytes | str


class Frame(NamedTuple):
    """One message: its headers by name (`:message-type`, `:event-type` …), and what it carries."""

    headers: Mapping[str, Value]
    payload: bytes


class Frames:
    """One per stream: feed it what arrives. What is left of a frame at the end of the body is a cut, no frame."""

    def __init__(self) -> None:
        self._carry = bytearray()
        self._wanted = _PRELUDE.size
        """Bytes without which nothing more can be said."""

    def feed(self, piece: bytes) -> list[Frame]:
        """The frames that this piece completed; `Garbled` for a wrong checksum, or lengths that no frame has."""
        self._carry += piece
        frames: list[Frame] = []
        start = 0
        while len(self._carry) - start >= self._wanted:
            total, n_headers, _ = self._prelude(start)
            self._wanted = total
            if len(self._carry) - start < total:
                break
            frames.append(_frame(bytes(self._carry[start : start + total]), n_headers))
            start += total
            self._wanted = _PRELUDE.size
        del self._carry[:start]
        return frames

    def _prelude(self, start: int) -> tuple[int, int, int]:
        total, n_headers, checksum = _PRELUDE.unpack_from(self._carry, start)
        if crc32(self._carry[start : start + 8]) != checksum:
            raise Garbled("the stream is no event stream, or was damaged: the checksum of a frame's lengths is wrong")
        n_payload = total - n_headers - _PRELUDE.size - _CRC.size
        if not 0 <= n_payload <= MAX_PAYLOAD_BYTES or n_headers > MAX_HEADER_BYTES:
            raise Garbled(f"a frame of the stream has impossible lengths: {total} bytes with {n_headers} of headers")
        return total, n_headers, checksum


class EventStream:
    """The framing of wires whose payloads are JSON: what the headers say is put beside the payload.

    An event becomes `{"TYPE":PAYLOAD}`, an exception or error `{"exception":TYPE,"said":TEXT}`.
    """

    def __init__(self) -> None:
        self._frames = Frames()

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that this piece completed; raises `Garbled`."""
        return [told for frame in self._frames.feed(piece) if (told := _told(frame))]

    def close(self) -> list[bytes]:
        """Nothing: half a frame says nothing that its checksum would vouch for."""
        return []


def _told(frame: Frame) -> bytes:
    headers = frame.headers
    kind = headers.get(":message-type", "event")
    if kind == "event":
        name = headers.get(":event-type", "")
        # An `initial-response` belongs to other protocols; a frame without a type or payload says nothing.
        return b"{%b:%b}" % (json.dumps(str(name)).encode(), frame.payload) if name and frame.payload else b""
    name = headers.get(":exception-type") or headers.get(":error-code") or kind
    said = frame.payload.decode("utf-8", "replace") or str(headers.get(":error-message", ""))
    return json.dumps({"exception": str(name), "said": said}).encode()


def _frame(whole: bytes, n_headers: int) -> Frame:
    if crc32(whole[: -_CRC.size]) != _CRC.unpack_from(whole, len(whole) - _CRC.size)[0]:
        raise Garbled("a frame of the stream was damaged: its checksum is wrong")
    end = _PRELUDE.size + n_headers
    return Frame(_headers(whole[_PRELUDE.size : end]), whole[end : -_CRC.size])


def _headers(block: bytes) -> dict[str, Value]:
    headers: dict[str, Value] = {}
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name, kind = block[at + 1 : end].decode(), block[end]
            value, at = _value(kind, block, end + 1)
            if name in headers:
                raise Garbled(f"a frame of the stream has the header {name[:40]!r} twice")
            headers[name] = value
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise Garbled("the headers of a frame of the stream cannot be read") from error
    if at > len(block):
        raise Garbled("the headers of a frame of the stream are longer than they say")
    return headers


def _value(kind: int, block: bytes, at: int) -> tuple[Value, int]:
    """(the value of a header, where it ends)."""
    if kind < 2:
        return kind == 0, at
    if kind in _SIZED:
        end = at + 2 + int(struct.unpack_from(">H", block, at)[0])
        raw = block[at + 2 : end]
        return (raw.decode() if kind == 7 else raw), end
    layout = _FIXED.get(kind)
    if layout is None:
        raise Garbled(f"a header in a frame of the stream is of the unknown type {kind}")
    (value,) = struct.unpack_from(layout, block, at)
    return value, at + struct.calcsize(layout)
