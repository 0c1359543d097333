"""The matrix of faults, as far as it is quick; `python tests/faults.py` prints all of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.quality import TaskShelf
from tests.fake import Running
from tests.faults import Row, cases
from tests.quality_runs import knowing_server

LASTING = ("429 Retry-After: 1", "500", "cut mid-stream", "401 in the middle")
"""Of the faults that last for a whole run only these, one of a kind: each wears out the run's patience on 18 items."""
CHOSEN = [(name, act) for name, act in cases() if ", lasting" not in name or name.removesuffix(", lasting") in LASTING]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with knowing_server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="module")
def shelf() -> TaskShelf:
    return TaskShelf()


@pytest.mark.parametrize("act", [act for _, act in CHOSEN], ids=[name for name, _ in CHOSEN])
def test_nothing_is_scored_wrongly_paid_twice_or_lost(
    server: Running,
    shelf: TaskShelf,
    tmp_path: Path,
    act: Callable[[Running, Path, TaskShelf], Row],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    row = act(server, tmp_path, shelf)
    if row.first.startswith("skipped"):
        pytest.skip(row.first)
    assert row.wrong == []
