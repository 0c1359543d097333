"""A result file as JSON objects, or one line that says what it is instead and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.errors import ConfigError

PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
OTHERS = {
    b"PAR1": "a Parquet file",
    b"SQLite": "a database",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"<": "HTML or XML",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """The objects of one file: one, or one per line."""

    path: Path
    objects: tuple[Mapping[str, Any], ...]
    sha256: str
    torn: int = 0
    """Last lines that were cut off (0 or 1): the tool died while it wrote."""

    @property
    def first(self) -> Mapping[str, Any]:
        return self.objects[0]


def document(path: Path) -> Document:
    """Read a JSON or JSONL file; ConfigError, in one line, when it is something else."""
    content = _content(path)
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text (byte {error.start}): no result file of a load tool") from error
    objects, torn = _objects(path, decoded)
    return Document(path=path, objects=tuple(objects), sha256=sha256(content).hexdigest(), torn=torn)


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name the result file in it{_candidates(path)}")
        if not path.exists():
            raise ConfigError(f"no file {path}; name the result file that the tool wrote")
        if not path.is_file():
            raise ConfigError(f"{path} is not a file; name the result file that the tool wrote")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; copy it to where you may read it") from error
    if not content.strip():
        raise ConfigError(f"{path} is empty: the tool did not write its results; run it again, or copy the file again")
    for magic, packing in PACKED.items():
        if content.startswith(magic):
            raise ConfigError(f"{path} is packed ({packing}); unpack it first, then import what was in it")
    for magic, what in OTHERS.items():
        if content.lstrip().startswith(magic):
            raise ConfigError(f"{path} is {what}, no JSON; import the JSON file that the tool writes")
    return content


def _candidates(folder: Path) -> str:
    found = sorted(p.name for p in folder.iterdir() if p.suffix in (".json", ".jsonl"))[:5]
    return f": {', '.join(found)}" if found else ""


def _objects(path: Path, decoded: str) -> tuple[list[Mapping[str, Any]], int]:
    """The whole text as one object, else each line as one; a torn last line of several is left out."""
    try:
        return [_object(path, json.loads(decoded))], 0
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply to be a result file") from error
    except ValueError as error:
        found, torn = _lines(path, decoded)
        if not found:
            raise ConfigError(_broken(path, decoded, error)) from error
        return found, torn


def _lines(path: Path, decoded: str) -> tuple[list[Mapping[str, Any]], int]:
    lines = [(number, line) for number, line in enumerate(decoded.split("\n"), 1) if line.strip()]
    found: list[Mapping[str, Any]] = []
    for number, line in lines:
        try:
            found.append(_object(path, json.loads(line)))
        except (ValueError, RecursionError) as error:
            if not found or (number, line) == lines[-1]:
                return found, 1  # nothing is JSON, or the tool died in the last line
            told = f"{path}, line {number}: not JSON; restore the file from a copy"
            raise ConfigError(told) from error
    return found, 0


def _object(path: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds {_kind(value)} where a result file holds an object")
    return value


def _kind(value: Any) -> str:
    names = {list: "a JSON list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _broken(path: Path, decoded: str, error: ValueError) -> str:
    if not decoded.lstrip().startswith("{"):
        return (
            f"{path} is no JSON (it begins with {decoded.lstrip()[:20]!r}); import the JSON file that the tool writes"
        )
    if isinstance(error, json.JSONDecodeError) and _at_the_end(decoded, error):
        return f"{path} is cut off after {len(decoded):,} characters: copy it again, or run the tool again"
    where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
    return f"{path} is damaged JSON{where}: copy it again, or run the tool again"


def _at_the_end(decoded: str, error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated string") or error.pos >= len(decoded.rstrip()) - 20
