"""Large JSON files piece by piece: lines, the elements of one long list, and hashes, in little memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from bench.errors import ConfigError

PIECE_BYTES = 1 << 20
LONGEST_BYTES = 16 << 20
"""Of one line, or one element of a list: no evaluation of one item is longer."""
MOST_BYTES = 128 << 20
"""Of a file that has to be read whole."""
TORN: Final = "a last line that was cut off"
DAMAGED: Final = "a line that is not a JSON object"
_BLANKS = re.compile(r"[\ufeff \t\r\n]*")
TOO_LONG: Final = f"a line of over {LONGEST_BYTES >> 20} MB"


def lines(path: Path) -> Iterator[Mapping[str, Any] | str]:
    """The objects of a JSONL file; in place of one that can't be taken, the reason."""
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_BYTES):
                if line.endswith(b"\n") or len(line) < LONGEST_BYTES:
                    if line.strip():
                        yield _line(line)
                    continue
                yield TOO_LONG
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST_BYTES)
    except OSError as error:
        raise cannot_read(path, error) from error


def _line(line: bytes) -> Mapping[str, Any] | str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return DAMAGED if line.endswith(b"\n") else TORN
    return found if isinstance(found, dict) else DAMAGED


def elements(where: str, file: IO[bytes]) -> Iterator[Any]:
    """The elements of a file that is one JSON list; ConfigError when it isn't, or breaks off."""
    text = _Text(file)
    if not text.skip("["):
        raise ConfigError(f"{where} is no JSON list; name the file as the tool wrote it")
    while not text.skip("]"):
        try:
            found = text.element()
        except RecursionError as error:
            raise ConfigError(f"{where} is nested too deeply to be a list of items") from error
        if found is not None:
            yield found[0]
            text.skip(",")
        elif text.left > LONGEST_BYTES:
            raise ConfigError(f"{where} holds an element of over {LONGEST_BYTES >> 20} MB: no list of items")
        elif not text.more():
            raise ConfigError(f"{where} is damaged or cut off; copy it again, or run the tool again")


class _Text:
    """What is read of a file and not used yet: `held` from `at` on."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._bytes = file, b""
        self._held, self._at = "", 0
        self._decoder = json.JSONDecoder()

    @property
    def left(self) -> int:
        return len(self._held) - self._at

    def more(self) -> bool:
        """Hold twice as much, and at least one piece more; False at the end."""
        piece = self._file.read(max(PIECE_BYTES, self.left))
        self._bytes += piece
        whole = self._bytes if not piece else self._bytes[: _whole_utf8(self._bytes)]
        self._held, self._at = self._held[self._at :] + whole.decode("utf-8", "replace"), 0
        self._bytes = self._bytes[len(whole) :]
        return bool(piece)

    def skip(self, mark: str) -> bool:
        """Whether the next character is `mark`, which is then used up."""
        self._at = self._after_blanks(self._at)
        while not self.left and self.more():
            self._at = self._after_blanks(self._at)
        found = self._held.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def element(self) -> tuple[Any] | None:
        """The element that begins here, if it and the mark after it are held whole: -4 may go on as -4.5."""
        try:
            found, end = self._decoder.raw_decode(self._held, self._at)
        except ValueError:
            return None
        if not self._held.startswith((",", "]"), self._after_blanks(end)):
            return None
        self._at = end
        return (found,)

    def _after_blanks(self, at: int) -> int:
        found = _BLANKS.match(self._held, at)
        return found.end() if found else at


def _whole_utf8(content: bytes) -> int:
    """How many of these bytes end with a whole character."""
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte < 0x80:
            return len(content)
        if byte >= 0xC0:
            return len(content) - back
    return len(content)


def json_file(path: Path) -> Any:
    """A JSON file that is read whole; ConfigError when it is damaged, or larger than such files are."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    return json_of(str(path), content)


def json_of(where: str, content: bytes) -> Any:
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{where} is larger than {MOST_BYTES >> 20} MB, which is too much to read at once")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is not UTF-8 text (byte {error.start}); copy it again") from error
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply to be results") from error
    except ValueError as error:
        raise ConfigError(f"{where} is damaged or cut-off JSON; copy it again, or run the tool again") from error


def content_hash(files: Iterable[tuple[str, Path]]) -> str:
    """Of one file its content, whatever it is called; of several their names, too."""
    found = [(name, _hash(path)) for name, path in sorted(files)]
    if len(found) == 1:
        return found[0][1]
    return sha256("".join(f"{name}\0{of}\n" for name, of in found).encode("utf-8", "replace")).hexdigest()


def _hash(path: Path) -> str:
    seen = sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                seen.update(piece)
    except OSError as error:
        raise cannot_read(path, error) from error
    return seen.hexdigest()


def files_of(path: Path, pattern: str) -> list[Path]:
    """The file itself, or the files in a folder (and those in it) whose name fits; hidden ones are left out."""
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob(pattern) if file.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(path).parts))


def name_in(path: Path, file: Path) -> str:
    """A file's name within PATH."""
    return file.relative_to(path).as_posix() if path.is_dir() else file.name


def cannot_read(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot read {path}: {error.strerror or error}; copy it to where you may read it")
