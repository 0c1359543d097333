import pytest

from bench import listing
from bench.catalog import load
from bench.errors import ConfigError


def test_every_target_says_what_it_needs_and_whether_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-canary")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = {row["target"]: row for row in listing.targets(load())}
    assert rows["embedded:nano"]["ready"] is True
    assert (rows["groq:MODEL"]["needs"], rows["groq:MODEL"]["ready"]) == ("GROQ_API_KEY (is set)", True)
    assert (rows["openai:MODEL"]["needs"], rows["openai:MODEL"]["ready"]) == ("set OPENAI_API_KEY", False)
    assert rows["vllm:MODEL"]["ready"] is None
    assert rows["anthropic:MODEL"]["ready"] is False
    assert "canary" not in str(rows)


def test_tasks_are_counted_from_their_files() -> None:
    rows = [row for row in listing.tasks() if row["suite"] == "quick@1"]
    assert len(rows) == 8
    assert {(row["items"], row["levels"]) for row in rows} == {(30, 3)}
    assert any("provisional" in row["suite"] for row in listing.tasks())


def test_a_task_is_shown_by_one_item_of_every_level() -> None:
    assert [item["level"] for item in listing.items("core_ledger")] == [1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="core_ledger"):
        listing.items("core_leger")


def test_a_model_is_shown_with_its_source() -> None:
    facts = {row["fact"]: row["value"] for row in listing.models(load(), "llama-3.1-8b")}
    assert facts["source"]
    assert facts["access"] == "open weights restricted"
