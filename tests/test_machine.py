"""The machine's description, the power sampler against boards of known power, and the commit of the code."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import machine
from bench.machine import PowerSample, Sampler


class Boards:
    """Stands in for `pynvml`: boards of constant power whose counters know the true energy."""

    class NVMLError(Exception):
        pass

    def __init__(self, *watts: float, counter_scale: float = 1.0, has_counter: bool = True) -> None:
        self.watts = watts
        self.counter_scale = counter_scale
        self.has_counter = has_counter
        self.began_ns = time.perf_counter_ns()

    def nvmlDeviceGetCount(self) -> int:
        return len(self.watts)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return round(self.watts[handle] * 1000)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> float:
        if not self.has_counter:
            raise self.NVMLError("Not Supported")
        elapsed_s = (time.perf_counter_ns() - self.began_ns) / 1e9
        return self.watts[handle] * elapsed_s * 1000 * self.counter_scale

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA H200"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=141 * (1 << 30))

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:
        if handle:
            raise self.NVMLError("Not Supported")
        return 700_000


def watched(boards: Boards, seconds: float = 0.2) -> Sampler:
    with Sampler(hz=100, nvml=boards) as power:
        time.sleep(seconds)
    return power


def whole(power: Sampler) -> tuple[int, int]:
    """The longest window every board's samples cover."""
    by_gpu = [[s.at_ns for s in power.samples if s.gpu == gpu] for gpu in {s.gpu for s in power.samples}]
    return max(stamps[0] for stamps in by_gpu), min(stamps[-1] for stamps in by_gpu)


def recorded(*rows: tuple[float, float, float | None]) -> Sampler:
    """A sampler of one board that saw (second, watts, joules by its counter)."""
    power = Sampler(nvml=Boards(1))
    power._handles = [0]
    power.samples = [
        PowerSample(at_ns=int(at * 1e9), gpu=0, power_w=watts, energy_j=joules) for at, watts, joules in rows
    ]
    return power


def test_constant_power_gives_power_times_time_over_all_boards() -> None:
    power = watched(Boards(250, 400))
    start_ns, end_ns = whole(power)
    found = power.between(start_ns, end_ns)
    assert found.integral_j == pytest.approx(650 * (end_ns - start_ns) / 1e9)
    assert found.counter_j is not None
    assert found.counter_j > 0
    assert {sample.gpu for sample in power.samples} == {0, 1}


def test_the_counter_is_the_figure_where_the_samples_agree_within_five_percent() -> None:
    found = recorded((0, 100, 5000), (1, 100, 5104), (2, 100, 5208)).between(0, 2 * 10**9)
    assert (found.energy_j, found.integral_j, found.reason) == (208, 200, None)
    assert found.mean_power_w == 104


def test_a_counter_that_disagrees_with_the_samples_makes_the_figure_invalid() -> None:
    found = recorded((0, 100, 5000), (1, 100, 5120), (2, 100, 5240)).between(0, 2 * 10**9)
    assert (found.energy_j, found.mean_power_w) == (None, None)
    assert found.reason == "the energy counter says 240.0 J and the power samples 200.0 J"


def test_without_a_counter_the_samples_are_integrated() -> None:
    power = watched(Boards(100, has_counter=False))
    found = power.between(*whole(power))
    assert found.counter_j is None
    assert found.energy_j == found.integral_j
    assert found.mean_power_w == pytest.approx(100)


def test_a_ramp_is_integrated_by_trapezoids_between_samples() -> None:
    power = recorded((0, 100, None), (1, 200, None), (2, 400, None))
    # 0.5 s to 1 s: mean of 150 and 200 W; 1 s to 1.5 s: mean of 200 and 300 W.
    assert power.between(500_000_000, 1_500_000_000).energy_j == pytest.approx(0.5 * 175 + 0.5 * 250)


@pytest.mark.parametrize("window", [(-1, 10), (0, 10**18), (10, 10), (20, 10)])
def test_a_window_outside_the_samples_has_no_figure(window: tuple[int, int]) -> None:
    power = watched(Boards(250), seconds=0.05)
    start_ns, _ = whole(power)
    found = power.between(start_ns + window[0], start_ns + window[1])
    assert found.energy_j is None
    assert "not covered" in str(found.reason)


def test_without_a_gpu_the_sampler_does_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_nvml", lambda: None)
    with Sampler() as power:
        pass
    assert power.samples == []
    assert power._thread is None
    assert power.between(0, 10**9).reason == "no GPU that reports power"
    with Sampler(nvml=Boards()) as power:
        pass
    assert power.samples == []


def test_the_sampler_stops_when_its_block_fails() -> None:
    power = Sampler(hz=100, nvml=Boards(1))
    with pytest.raises(RuntimeError, match="in between"), power:
        raise RuntimeError("in between")
    assert power._thread is not None
    assert not power._thread.is_alive()


def test_boards_are_described_by_the_library_and_gaps_stay_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_nvml", lambda: Boards(1, 2))
    assert machine.gpus() == [
        {"name": "NVIDIA H200", "memory_gib": 141.0, "driver": "580.1", "power_limit_w": 700.0},
        {"name": "NVIDIA H200", "memory_gib": 141.0, "driver": "580.1", "power_limit_w": None},
    ]


def test_boards_are_described_by_the_command_where_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(
        "#!/bin/sh\necho 'NVIDIA L4, 23034, 550.54.15, 72.00'\necho 'NVIDIA GB10, [N/A], 580.95.05, [N/A]'\n"
    )
    command.chmod(0o755)
    monkeypatch.setattr(machine, "_nvml", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == [
        {"name": "NVIDIA L4", "memory_gib": 22.5, "driver": "550.54.15", "power_limit_w": 72.0},
        {"name": "NVIDIA GB10", "memory_gib": None, "driver": "580.95.05", "power_limit_w": None},
    ]
    command.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert machine.gpus() == []
    command.unlink()
    assert machine.gpus() == []


def test_the_description_is_json_and_names_no_person_host_or_path() -> None:
    told = machine.describe()
    text = json.dumps(told)
    assert told["cores"] >= told["cores_usable"] >= 1
    assert told["memory_gib"] > 0.1
    assert told["packages"] == machine.versions()
    assert "gapbench" in told["packages"]
    words = set(text.replace('"', " ").replace(",", " ").split())
    assert socket.gethostname() not in words
    assert getpass.getuser() not in words
    assert str(Path.home()) not in text


def run_git(folder: Path, *words: str) -> str:
    said = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()


def test_the_commit_is_that_of_the_codes_own_checkout_with_its_dirt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "bench" / "machine.py"
    code.parent.mkdir()
    code.write_text("one")
    monkeypatch.setattr(machine, "__file__", str(code))
    assert machine.git_sha() is None
    run_git(tmp_path, "init", "-q")
    assert machine.git_sha() is None, "no commit yet"
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-qm", "first")
    sha = run_git(tmp_path, "rev-parse", "HEAD")
    assert machine.git_sha() == sha
    (tmp_path / "untracked").touch()
    assert machine.git_sha() == sha
    code.write_text("two")
    assert machine.git_sha() == f"{sha}-dirty"


def test_code_installed_inside_somebody_elses_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_git(tmp_path, "init", "-q")
    code = tmp_path / "venv" / "site-packages" / "bench" / "machine.py"
    code.parent.mkdir(parents=True)
    code.touch()
    monkeypatch.setattr(machine, "__file__", str(code))
    assert machine.git_sha() is None
