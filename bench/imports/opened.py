"""A folder, a zip or one file as named texts, within limits: nothing is unpacked to disk, no name is used as a path."""

from __future__ import annotations

import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

from bench.errors import ConfigError

MOST_BYTES = 256 << 20
"""Of all that is read, unpacked. The largest real set is 3 MB."""
MOST_FILES = 5_000
GLANCE_BYTES = 1 << 16
"""What is enough to know a file by its beginning."""
GLANCE_FILES = 300
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Files by their name within PATH, in order; a folder that holds all of them is left out of the names."""

    path: Path
    contents: dict[str, bytes]

    @cached_property
    def sha256(self) -> str:
        """Of one file its content, whatever it is called; of several their names, too."""
        if len(self.contents) == 1:
            return sha256(next(iter(self.contents.values()))).hexdigest()
        lines = (f"{name}\0{sha256(content).hexdigest()}\n" for name, content in sorted(self.contents.items()))
        return sha256("".join(lines).encode("utf-8", "replace")).hexdigest()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(self.contents)

    def text(self, name: str) -> str:
        return text_of(self.where(name), self.contents[name])

    def json(self, name: str, *, exact: bool = False) -> Any:
        """With `exact`, numbers with a point are Decimal: money."""
        return json_of(self.where(name), self.text(name), exact=exact)

    def where(self, name: str) -> str:
        """The file as a message names it."""
        return str(self.path) if len(self.contents) == 1 and self.path.name == name else f"{self.path}, {name}"

    def only(self, names: Callable[[str], bool]) -> Opened:
        """Without the files that are not of the format, so that they don't count in the hash."""
        return Opened(path=self.path, contents={name: text for name, text in self.contents.items() if names(name)})


def opened(path: Path, *, suffixes: tuple[str, ...] = (".csv", ".json")) -> Opened:
    """Every file with one of the suffixes in a folder (and the folders in it) or a zip, or the one file.

    ConfigError when it is not there, not readable, damaged, encrypted, or larger than any real set.
    """
    path = Path(path)
    contents = dict(_read(path, suffixes, _Limit(MOST_BYTES)))
    if not contents:
        raise ConfigError(f"{path} holds no {' or '.join(suffixes)} file; name the folder, zip or file that does")
    return Opened(path=path, contents=_without_common_folder(contents))


def glance(path: Path, *, suffixes: tuple[str, ...] = (".csv", ".json")) -> dict[str, str]:
    """The names of what `opened` would read, each with how it begins; empty where nothing can be read.

    For knowing whose files they are: at most 64 kB of each of the first 300 are looked at.
    """
    found: dict[str, bytes] = {}
    with suppress(ConfigError):
        found = dict(islice(_read(Path(path), suffixes, _Limit(GLANCE_BYTES, cut=True)), GLANCE_FILES))
    found = _without_common_folder(found)
    return {name: content.decode(_encoding(content), "replace") for name, content in found.items()}


def _encoding(content: bytes) -> str:
    """UTF-16 is known here, so that `text_of` can say what is wrong with it."""
    return "utf-16" if content.startswith(UTF_16) else "utf-8-sig"


def text_of(where: str, content: bytes) -> str:
    """UTF-8 text, its byte-order mark left out; ConfigError for anything else."""
    if content.startswith(UTF_16):
        raise ConfigError(f"{where} is UTF-16 text; save it as UTF-8")
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if "\0" in found:
        raise ConfigError(
            f"{where} is not text (byte {found.index(chr(0))} is zero); name the file as it was published"
        )
    return found


def json_of(where: str, text: str, *, exact: bool = False) -> Any:
    try:
        return json.loads(text, parse_float=Decimal if exact else None)
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply to be a table") from error
    except (ValueError, ArithmeticError) as error:
        at = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{where} is damaged JSON{at}; fetch it again") from error


# ------------------------------------------------------------------------------------------------------------- reading


class _Limit:
    """How much may still be read: of all files together; with `cut`, of each file, and what is over is left out."""

    def __init__(self, left: int, *, cut: bool = False) -> None:
        self._left, self._cut = left, cut

    def read(self, path: Path, file: IO[bytes]) -> bytes:
        content = file.read(self._left + 1)
        if self._cut:
            return content[: self._left]
        self._left -= len(content)
        if self._left < 0:
            told = f"{path} holds over {MOST_BYTES >> 20} MB of tables, more than any real set"
            raise ConfigError(f"{told}; name a part of it")
        return content


def _read(path: Path, suffixes: tuple[str, ...], limit: _Limit) -> Iterator[tuple[str, bytes]]:
    try:
        if path.is_dir():
            yield from _of_folder(path, suffixes, limit)
        elif not path.exists():
            raise ConfigError(f"no file or folder {path}; name what was published")
        elif not path.is_file():
            raise ConfigError(f"{path} is neither a file nor a folder; name what was published")
        elif zipfile.is_zipfile(path):
            yield from _of_zip(path, suffixes, limit)
        else:
            with path.open("rb") as file:
                yield path.name, limit.read(path, file)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}; copy it to where you may read it") from error


def _of_folder(folder: Path, suffixes: tuple[str, ...], limit: _Limit) -> Iterator[tuple[str, bytes]]:
    names: list[str] = []
    for place, within, files in os.walk(folder):  # links to folders are not followed, so none leads in a circle
        within[:] = sorted(name for name in within if not name.startswith("."))
        found = (Path(place, name) for name in files if name.lower().endswith(suffixes) and not name.startswith("."))
        names += [file.relative_to(folder).as_posix() for file in found if file.is_file()]
        _few_enough(folder, len(names))
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            yield name, limit.read(folder / name, file)


def _of_zip(path: Path, suffixes: tuple[str, ...], limit: _Limit) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as packed:
            wanted = [entry for entry in packed.infolist() if _is_wanted(entry, suffixes)]
            _few_enough(path, len(wanted))
            for entry in sorted(wanted, key=lambda entry: entry.filename):
                with packed.open(entry) as file:
                    yield entry.filename, limit.read(path, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError) as error:
        raise ConfigError(f"{path} is a damaged zip ({error}); fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way Python lacks
        raise ConfigError(f"{path} cannot be unpacked ({error}); unpack it, then import the folder") from error


def _is_wanted(entry: zipfile.ZipInfo, suffixes: tuple[str, ...]) -> bool:
    parts = PurePosixPath(entry.filename).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not entry.is_dir() and not hidden and entry.filename.lower().endswith(suffixes)


def _few_enough(path: Path, n: int) -> None:
    if n > MOST_FILES:
        raise ConfigError(f"{path} holds over {MOST_FILES:,} tables, more than any real set; name a part of it")


def _without_common_folder(contents: dict[str, bytes]) -> dict[str, bytes]:
    """A zip of a folder and the folder itself are the same content."""
    while contents and all("/" in name.strip("/") for name in contents):
        first = {name.split("/")[0] for name in contents}
        if len(first) > 1:
            break
        contents = {name.split("/", 1)[1]: content for name, content in contents.items()}
    return contents
