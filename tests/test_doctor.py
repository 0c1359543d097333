"""Doctor's findings about this machine; targets are examined in test_cli.py."""

from pathlib import Path

import pytest

from bench import doctor
from bench.catalog import load


def test_a_results_folder_that_cannot_be_written_is_bad(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    found = {f.what: f for f in doctor.machine(load(), tmp_path / "results")}
    assert found["results"].bad


def test_a_machine_without_gpu_or_key_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in load().providers.values():
        if provider.key_env:
            monkeypatch.delenv(provider.key_env, raising=False)
    found = doctor.machine(load(), tmp_path)
    assert not any(f.bad for f in found)
    assert not any(f.what.startswith("key for") for f in found)


def test_an_endpoint_that_does_not_answer_is_bad_and_the_next_is_still_examined() -> None:
    found = doctor.targets(["http://127.0.0.1:9/v1#m", "embedded:nano"], load())
    bad = {f.target for f in found if f.bad}
    assert bad == {"http://127.0.0.1:9/v1#m"}
    assert any(f.target == "embedded:nano" and f.what == "usage" and f.state == "ok" for f in found)
