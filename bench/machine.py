"""The machine a run was made on, its GPUs' power, and the commit of this code; works, and says less, with no GPU.

Nothing here names a person or a host: no host name, no user name, no path.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import Any

PACKAGES = (
    "gapbench",
    "httpx",
    "httptools",
    "uvloop",
    "duckdb",
    "numpy",
    "pandas",
    "pyarrow",
    "lm-eval",
    "genai-prices",
)
GIB = 1 << 30
AGREE_WITHIN = 0.05
"""METRICS section 4: the energy counter and the integral of power differ by no more, or the figure is invalid."""


def describe() -> dict[str, Any]:
    """CPU, memory, system, GPUs and package versions, as they go into run.json."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": _usable_cores(),
        "memory_gib": _memory_gib(),
        "os": _system(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "gpus": gpus(),
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a measurement."""
    return {name: found for name in PACKAGES if (found := _version(name)) is not None}


def gpus() -> list[dict[str, Any]]:
    """One entry per NVIDIA board: name, memory_gib, driver, power_limit_w; empty without one."""
    nvml = _nvml()
    if nvml is not None:
        return _gpus_by_nvml(nvml)
    return _gpus_by_command()


def git_sha() -> str | None:
    """The commit this code runs from, `-dirty` when tracked files differ from it; None outside its own checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    sha = _said(["git", "-C", str(root), "rev-parse", "HEAD"])
    changed = _said(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"])
    if not sha:
        return None
    return f"{sha.strip()}-dirty" if changed is None or changed.strip() else sha.strip()


# --------------------------------------------------------------------------------------------------------- energy


@dataclass(frozen=True, kw_only=True)
class PowerSample:
    """One reading of one GPU."""

    at_ns: int
    """`time.perf_counter_ns`: the clock of the stamps."""
    gpu: int
    power_w: float
    energy_j: float | None
    """The board's own total since the driver was loaded; None where it does not count."""


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What all GPU boards used in a window. CPU and RAM are not in it and not estimated."""

    duration_s: float
    energy_j: float | None
    """By the counter where there is one; None when the figure is invalid."""
    mean_power_w: float | None
    counter_j: float | None
    integral_j: float | None
    """Trapezoids over the power samples."""
    reason: str | None
    """Why there is no figure."""


class Sampler:
    """Reads power and energy of every GPU ten times a second between `__enter__` and `__exit__`; inert without a GPU.

    `nvml` is the module `pynvml` or something like it; left out, the installed one is used if a GPU answers.
    """

    def __init__(self, *, hz: float = 10.0, nvml: Any = None) -> None:
        self.samples: list[PowerSample] = []
        self._nvml = nvml if nvml is not None else _nvml()
        self._period_s = 1 / hz
        self._handles: list[Any] = []
        self._reading = threading.Lock()  # guards the order of the samples: readings come from two threads
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        if self._nvml is not None:
            self._handles = _handles(self._nvml)
        if self._handles:
            self.read()
            self._thread = threading.Thread(target=self._run, name="bench-power", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self.read()

    def between(self, start_ns: int, end_ns: int) -> Energy:
        """Energy of all boards in a window of the stamps' clock."""
        duration_s = (end_ns - start_ns) / 1e9
        if not self.samples:
            return _no_energy(duration_s, "no GPU that reports power")
        boards = [self._board(gpu, start_ns, end_ns) for gpu in range(len(self._handles))]
        if any(integral is None for _, integral in boards):
            return _no_energy(duration_s, "the window is not covered by power samples")
        integral_j = sum(integral for _, integral in boards if integral is not None)
        counted = [counter for counter, _ in boards if counter is not None]
        return _agreed(duration_s, sum(counted) if len(counted) == len(boards) else None, integral_j)

    def _board(self, gpu: int, start_ns: int, end_ns: int) -> tuple[float | None, float | None]:
        """(joules by the counter, joules by integration) of one board."""
        mine = [sample for sample in self.samples if sample.gpu == gpu]
        stamps = [sample.at_ns for sample in mine]
        if len(mine) < 2 or start_ns < stamps[0] or end_ns > stamps[-1] or end_ns <= start_ns:
            return None, None
        power = [sample.power_w for sample in mine]
        energy = [sample.energy_j for sample in mine]
        if any(each is None for each in energy):
            counter = None
        else:
            known = [each for each in energy if each is not None]
            counter = _at(stamps, known, end_ns) - _at(stamps, known, start_ns)
        return counter, _integral(stamps, power, start_ns, end_ns)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.read()

    def read(self) -> None:
        """One reading of every board now, besides those that come by themselves: a window up to now is then covered."""
        with self._reading:
            for gpu, handle in enumerate(self._handles):
                try:
                    power_w = self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000
                except self._nvml.NVMLError:
                    continue
                at_ns, energy_j = time.perf_counter_ns(), _counter_j(self._nvml, handle)
                self.samples.append(PowerSample(at_ns=at_ns, gpu=gpu, power_w=power_w, energy_j=energy_j))


def _agreed(duration_s: float, counter_j: float | None, integral_j: float) -> Energy:
    reason = None
    if counter_j is not None and abs(counter_j - integral_j) > AGREE_WITHIN * max(counter_j, integral_j):
        reason = f"the energy counter says {counter_j:.1f} J and the power samples {integral_j:.1f} J"
    energy_j = None if reason else integral_j if counter_j is None else counter_j
    return Energy(
        duration_s=duration_s,
        energy_j=energy_j,
        mean_power_w=None if energy_j is None else energy_j / duration_s,
        counter_j=counter_j,
        integral_j=integral_j,
        reason=reason,
    )


def _no_energy(duration_s: float, reason: str) -> Energy:
    return Energy(
        duration_s=duration_s, energy_j=None, mean_power_w=None, counter_j=None, integral_j=None, reason=reason
    )


def _at(stamps: Sequence[int], values: Sequence[float], when_ns: int) -> float:
    """Value at a moment between two samples, by the straight line."""
    right = min(bisect_right(stamps, when_ns), len(stamps) - 1)
    left = right - 1
    share = (when_ns - stamps[left]) / (stamps[right] - stamps[left])
    return values[left] + share * (values[right] - values[left])


def _integral(stamps: Sequence[int], power_w: Sequence[float], start_ns: int, end_ns: int) -> float:
    inside = [(at, watts) for at, watts in zip(stamps, power_w, strict=True) if start_ns < at < end_ns]
    points = [(start_ns, _at(stamps, power_w, start_ns)), *inside, (end_ns, _at(stamps, power_w, end_ns))]
    return sum((b - a) * (p + q) / 2 / 1e9 for (a, p), (b, q) in pairwise(points))


# ----------------------------------------------------------------------------------------------------------- NVIDIA


@cache
def _nvml() -> Any:
    """The initialised `pynvml`, or None without the package, the driver or a GPU."""
    if find_spec("pynvml") is None:
        return None
    nvml = import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def _handles(nvml: Any) -> list[Any]:
    try:
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []


def _gpus_by_nvml(nvml: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": _text(_asked(nvml, nvml.nvmlDeviceGetName, handle)),
            "memory_gib": None
            if (memory := _asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)) is None
            else round(memory.total / GIB, 1),
            "driver": _text(_asked(nvml, nvml.nvmlSystemGetDriverVersion)),
            "power_limit_w": None
            if (limit := _asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)) is None
            else limit / 1000,
        }
        for handle in _handles(nvml)
    ]


def _asked(nvml: Any, question: Any, *about: Any) -> Any:
    try:
        return question(*about)
    except nvml.NVMLError:
        return None


def _counter_j(nvml: Any, handle: Any) -> float | None:
    millijoules = _asked(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    return None if millijoules is None else millijoules / 1000


def _gpus_by_command() -> list[dict[str, Any]]:
    if which("nvidia-smi") is None:
        return []
    fields = "name,memory.total,driver_version,power.limit"
    table = _said(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"], patience_s=10)
    rows = [[cell.strip() for cell in line.split(",")] for line in (table or "").splitlines() if line.count(",") == 3]
    return [
        {
            "name": name,
            "memory_gib": None if (mib := _number(memory)) is None else round(mib / 1024, 1),
            "driver": driver,
            "power_limit_w": _number(limit),
        }
        for name, memory, driver, limit in rows
    ]


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


# ----------------------------------------------------------------------------------------------------------- system


def _said(command: list[str], patience_s: float = 2) -> str | None:
    """What a command printed; None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _cpu_model() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return (_said(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor()).strip() or None
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine() or None


def _usable_cores() -> int | None:
    """Cores this process may run on: fewer than there are in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.mac_ver()[0]}".strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
