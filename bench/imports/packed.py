"""Members of a zip one at a time; also those packed with zstandard, which Python's own zipfile learns only in 3.14."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from bench.errors import ConfigError
from bench.imports.streamed import PIECE_BYTES, cannot_read

ZSTANDARD = 93
LOCAL_HEADER_BYTES = 30
AGAIN = "copy it again, or run the tool again"


@contextmanager
def zip_file(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip; ConfigError for a file that is none, is cut off or can't be read, also while it is being read."""
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed
    except zipfile.BadZipFile as error:
        raise ConfigError(f"{path} is no whole zip ({error}): it was cut off; {AGAIN}") from error
    except (zlib.error, EOFError) as error:
        raise ConfigError(f"{path} is damaged ({error}); {AGAIN}") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that nobody here knows
        raise ConfigError(f"{path} cannot be unpacked ({error}); unpack it and pack it again with `zip`") from error
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def member(packed: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """One member, unpacked while it is read; BadZipFile when its bytes are not those that were packed."""
    entry = packed.getinfo(name)
    if entry.compress_type != ZSTANDARD or entry.flag_bits & 1:  # encrypted: zipfile says so
        with packed.open(entry) as file:
            yield file
        return
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(_packed_bytes(packed, entry)), "zstd") as stream:
        yield cast(IO[bytes], _Checked(stream, entry))


def _packed_bytes(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a member as they lie in the file, after its local header."""
    file = packed.fp
    assert file is not None
    file.seek(entry.header_offset)
    header = file.read(LOCAL_HEADER_BYTES)
    if len(header) < LOCAL_HEADER_BYTES or not header.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile(f"no header of {entry.filename}")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    content = file.read(entry.compress_size)
    if len(content) < entry.compress_size:
        raise zipfile.BadZipFile(f"{entry.filename} breaks off")
    return content


class _Checked:
    """A stream that knows, at its end, whether it gave what was packed."""

    def __init__(self, stream: Any, entry: zipfile.ZipInfo) -> None:
        self._stream, self._entry, self._crc = stream, entry, 0

    def read(self, n: int = -1) -> bytes:
        """At most `n` bytes, as file objects do; fewer only at the end."""
        pieces, left = [], n
        while left and (piece := self._piece(PIECE_BYTES if left < 0 else min(left, PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece) if left > 0 else 0
        return b"".join(pieces)

    def _piece(self, n: int) -> bytes:
        import pyarrow as pa

        try:
            piece = bytes(self._stream.read(n))
        except (OSError, pa.ArrowException) as error:
            raise zipfile.BadZipFile(f"{self._entry.filename} is damaged") from error
        self._crc = zlib.crc32(piece, self._crc)
        if not piece and self._crc != self._entry.CRC:
            raise zipfile.BadZipFile(f"{self._entry.filename} is not what was packed")
        return piece
