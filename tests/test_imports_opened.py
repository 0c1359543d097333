"""Files, folders and zips from strangers: read within limits, never unpacked, told in one line when they are bad."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import imports
from bench.errors import ConfigError
from bench.imports import epoch, opened
from bench.imports.tabular import table
from tests.published_files import HUB, folder, zipped

MMLU = HUB["mmlu_external.csv"]


def refused(path: Path, tmp_path: Path, format: str = "epoch") -> str:
    with pytest.raises(ConfigError) as told:
        imports.import_published(format, path, tmp_path / "results")
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "results").rglob("run.json"))
    return str(told.value)


def test_a_zip_that_unpacks_to_more_than_any_real_set_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "MOST_BYTES", 1 << 20)
    path = zipped(tmp_path / "bomb.zip", {"mmlu_external.csv": MMLU + "x,0.5,,,,,,,,,,,\n" * (1 << 17)})
    assert path.stat().st_size < 1 << 15
    assert "bomb.zip holds over 1 MB of tables, more than any real set" in refused(path, tmp_path)
    many = zipped(tmp_path / "many.zip", {f"{n}_external.csv": MMLU + "\n" * 60_000 for n in range(20)})
    assert "holds over 1 MB of tables" in refused(many, tmp_path)


def test_a_zip_of_more_files_than_any_real_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MOST_FILES", 20)
    path = zipped(tmp_path / "many.zip", {f"{n}_external.csv": MMLU for n in range(30)})
    with pytest.raises(ConfigError, match="holds over 20 tables, more than any real set"):
        opened.opened(path)


@pytest.mark.parametrize("name", ["../../mmlu_external.csv", "/tmp/x/mmlu_external.csv", "C:\\x\\mmlu_external.csv"])
def test_a_name_in_a_zip_is_never_a_path(name: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "slip.zip", {name: MMLU, "gpqa_diamond.csv": HUB["gpqa_diamond.csv"]})
    before = sorted(p for p in tmp_path.rglob("*"))
    assert epoch.read_published(path).scores
    assert sorted(p for p in tmp_path.rglob("*")) == before


def damaged(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes(b ^ 0xFF for b in content[middle : middle + 40]) + content[middle + 40 :]


@pytest.mark.parametrize(
    "change", [damaged, lambda content: content[: len(content) // 2], lambda content: b"PK\x03\x04"]
)
def test_a_damaged_zip_is_refused(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = zipped(tmp_path / "hub.zip", HUB)
    path.write_bytes(change(path.read_bytes()))
    told = refused(path, tmp_path)
    assert "hub.zip" in told


def test_a_zip_that_says_it_is_encrypted_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "secret.zip", {"mmlu_external.csv": MMLU})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be unpacked .*; unpack it, then import the folder"):
        opened.opened(path)


def test_folders_within_folders_and_links_in_a_circle_are_read_once(tmp_path: Path) -> None:
    deep = tmp_path / "set" / "a" / "b" / "c"
    folder(deep, {"mmlu_external.csv": MMLU})
    (deep / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    (deep / "self_external.csv").symlink_to("self_external.csv")
    (deep / "gone_external.csv").symlink_to("nowhere.csv")
    (deep / ".hidden.csv").write_text("x")
    os.mkfifo(deep / "pipe_external.csv")
    found = opened.opened(tmp_path / "set")
    assert found.files == ("mmlu_external.csv",)
    assert imports.import_published("epoch", tmp_path / "set", tmp_path / "results").n_scores == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (MMLU.encode().replace(b"Oak paper", "Oak päper".encode("latin-1")), "is not UTF-8 text (byte"),
        (MMLU.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (MMLU.encode() + b"\0", "is not text (byte 327 is zero)"),
        (MMLU.encode() + b'a,"' + b"9" * (10 << 20) + b'",\n', "a cell of over 131,072 characters"),
        (MMLU.encode() + b"9" * (10 << 20) + b"\n", "a cell of over 131,072 characters"),
        (MMLU.encode() + b'oak-7b,"0.5\n', "breaks off inside a quoted cell"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mmlu_external.csv"
    path.write_bytes(content)
    told = refused(path, tmp_path)
    assert says in told


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 5, '{"full": {"a": {"rating_q975": ' + "9" * 5000 + "}}}", "\ufeff"]
)
def test_json_that_is_none_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "leaderboard-text.json"
    path.write_text(text + '\n"rating_q975"')
    assert "leaderboard-text.json" in refused(path, tmp_path, "lmarena")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.csv", "no file or folder"),
        ("empty", "holds nothing that epoch reads (Epoch AI's benchmark data"),
        ("empty.csv", "holds nothing that epoch reads"),
        ("words.txt", "holds nothing that epoch reads"),
        ("pipe", "is neither a file nor a folder"),
    ],
)
def test_a_place_without_any_table_is_told_in_one_line(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "words.txt").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    assert says in refused(tmp_path / name, tmp_path)


def test_a_quote_inside_a_quoted_cell_does_not_lose_the_row(tmp_path: Path) -> None:
    found = table("a.csv", 'a,b\n"the "best" one",2\n3,4\n')
    assert [row["b"] for row in found.rows] == ["2", "4"]


def test_rows_shorter_and_longer_than_the_header_are_rows(tmp_path: Path) -> None:
    found = table("a.csv", "a,b,c\n1\n1,2,3,4\n\n , ,\n")
    assert found.rows == ({"a": "1", "b": "", "c": ""}, {"a": "1", "b": "2", "c": "3"}, {"a": "", "b": "", "c": ""})
    assert found.lines == (2, 3, 5)


def test_the_glance_at_a_file_reads_little_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mmlu_external.csv"
    path.write_text(MMLU + "x" * (1 << 20))
    assert len(opened.glance(path)[path.name]) == opened.GLANCE_BYTES
    assert zipfile.is_zipfile(path) is False
