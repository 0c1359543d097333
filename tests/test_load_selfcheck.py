"""What the client says of itself against its null server, and what that would be if its stamps were wrong."""

from pathlib import Path

import numpy as np
import pytest

from bench.client import Lane
from bench.errors import EngineError
from bench.load import selfcheck
from bench.load.selfcheck import GAP_MS, STREAMS, TOKENS, SelfCheck, check


@pytest.mark.parametrize(("lane", "workers"), [("httpx", 1), ("raw", 2)])
def test_each_lane_finds_its_own_error_to_be_small(lane: Lane, workers: int, tmp_path: Path) -> None:
    found = check(lane=lane, workers=workers, log=tmp_path / "client.log")
    assert 0 < found.ttft_error_p99_ms < 50
    assert 0 < found.e2e_error_p99_ms < 50
    assert found.error_p99_ms == max(found.ttft_error_p99_ms, found.e2e_error_p99_ms)
    assert 500 < found.events_per_s < 10_000_000
    # An answer takes 0.8 s: in a step of 1 s each stream begins one, and most of them a second.
    assert STREAMS <= found.n <= STREAMS * 3
    assert (tmp_path / "client.log").read_text() == ""


def test_a_null_server_that_does_not_start_is_an_engine_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('no Python today')\n")
    with pytest.raises(EngineError, match=r"null server of the self-check did not start; its log is client\.log"):
        check(lane="httpx", workers=1, log=tmp_path / "client.log")


def compared(first_off_ms: list[float], end_off_ms: list[float]) -> SelfCheck:
    """Of answers stamped so much off what the server wrote."""
    n = len(first_off_ms)
    wrote = [(10**12 + i * 10**9, 10**12 + i * 10**9 + 5 * 10**8) for i in range(n)]
    columns = {
        "first_token_ns": np.array([first + off * 1e6 for (first, _), off in zip(wrote, first_off_ms, strict=True)]),
        "end_ns": np.array([end + off * 1e6 for (_, end), off in zip(wrote, end_off_ms, strict=True)]),
        "chunks": np.full(n, float(TOKENS)),
    }
    return selfcheck._compared(columns, wrote, cpu_s=0.5)


def test_errors_are_the_distance_from_what_the_server_wrote_in_either_direction() -> None:
    found = compared([0.25] * 100, [-3.0] * 100)
    assert found.ttft_error_p99_ms == pytest.approx(0.25)
    assert found.e2e_error_p99_ms == pytest.approx(3.0)
    assert found.error_p99_ms == pytest.approx(3.0)
    assert (found.n, found.events_per_s) == (100, 100 * TOKENS / 0.5)


def test_one_late_answer_in_ten_shows_and_one_in_a_thousand_does_not() -> None:
    assert compared([0.1] * 90 + [40.0] * 10, [0.1] * 100).ttft_error_p99_ms == pytest.approx(40)
    assert compared([0.1] * 999 + [40.0], [0.1] * 1000).ttft_error_p99_ms == pytest.approx(0.1)


def test_the_null_server_keeps_the_time_that_its_model_name_says(tmp_path: Path) -> None:
    import httpx

    with selfcheck.null_server(tmp_path / "client.log") as url:
        body = {"model": f"null?tokens={TOKENS}&gap_ms={GAP_MS}", "messages": []}
        text = httpx.post(f"{url}/chat/completions", json=body, trust_env=False).text
    events = [line for line in text.splitlines() if line]
    assert len(events) == TOKENS + 2  # and the last word, and [DONE]
    first_ns, end_ns = map(int, events[-2].partition('"system_fingerprint":"')[2].partition('"')[0].split(","))
    assert (end_ns - first_ns) / 1e6 == pytest.approx((TOKENS - 1) * GAP_MS, abs=100)
