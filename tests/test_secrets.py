"""No key is written anywhere, whatever servers do with it; `python tests/secrets_search.py` tries all wires."""

from pathlib import Path

import pytest

from tests.secrets_search import Found, canary, needles, search, searched


def test_no_key_is_in_anything_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    found = searched(tmp_path, {"openai_chat": "", "anthropic": 'quirks = { auth = "x-api-key" }'})
    assert found.hits == []
    assert found.n_bytes > 500_000


@pytest.mark.parametrize("kind", ["plain", "ugly"])
def test_the_search_finds_what_is_there(tmp_path: Path, kind: str) -> None:
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    key = canary(kind)
    (tmp_path / "a.json").write_text(json.dumps({"said": f"it was {key}"}))
    pq.write_table(pa.table({"x": [f"or {key[10:]}"] * 1000}), tmp_path / "b.parquet")
    found = Found()
    search(tmp_path, needles({kind: key}), found)
    assert {hit.split(":")[0] for hit in found.hits} == {"a.json", "b.parquet"}
    assert found.n_files == 2
