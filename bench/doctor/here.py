"""This machine: hardware, how exact our client is on it, engines, keys, and the store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from bench.catalog import Catalog
from bench.doctor.findings import Finding
from bench.errors import BenchError


def machine(catalog: Catalog, results: Path) -> list[Finding]:
    """This machine, its GPUs, how exact our client is on it, the engines and keys it has, and the store."""
    return [*_hardware(), *_client(), *_engines(), *_keys(catalog), *_store(results)]


def _hardware() -> Iterator[Finding]:
    from bench import machine as here

    seen = here.describe()
    yield Finding(
        what="machine",
        state="ok",
        found=f"{seen['cpu']}, {seen['cores']} cores, {seen['memory_gib']:.0f} GiB, {seen['os']}, "
        f"Python {seen['python']}",
    )
    if not seen["gpus"]:
        yield Finding(what="GPU", state="note", found="none seen; hosted and embedded targets need none")
    for gpu in seen["gpus"]:
        yield Finding(
            what="GPU", state="ok", found=f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB, driver {gpu.get('driver')}"
        )


def _client() -> Iterator[Finding]:
    """What our own client can do here, against a server that only keeps time."""
    from bench.load.selfcheck import check

    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        try:
            seen = check(lane="httpx", workers=1, log=Path(folder) / "client.log")
        except BenchError as error:
            yield Finding(what="client", state="bad", found=str(error))
            return
    yield Finding(what="client", state="ok", found=seen.line())


def _engines() -> Iterator[Finding]:
    from bench import engines
    from bench.engines.embedded.family import family

    names = ", ".join(f"embedded:{model.name}" for model in family())
    yield Finding(what="engines", state="ok", found=f"{', '.join(engines.names())}; models here: {names}")


def _keys(catalog: Catalog) -> Iterator[Finding]:
    """Which keys are set; of a key nothing but its length is ever shown."""
    variables = {p.key_env: p.id for p in catalog.providers.values() if p.key_env}
    for variable, provider in sorted(variables.items()):
        if value := os.environ.get(variable):
            yield Finding(what=f"key for {provider}", state="ok", found=f"{variable} is set ({len(value)} characters)")
    missing = sorted(v for v in variables if not os.environ.get(v))
    if missing:
        yield Finding(what="keys not set", state="note", found=", ".join(missing))


def _store(results: Path) -> Iterator[Finding]:
    from bench import runs

    try:
        results.mkdir(parents=True, exist_ok=True)
        probe = results / f".probe-{uuid4().hex}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding(
            what="results", state="bad", found=f"{results} can't be written: {error.strerror}; pass --results DIR"
        )
        return
    free_gib = shutil.disk_usage(results).free / 2**30
    found = f"{results}: {len(runs.folders(results))} runs, {free_gib:.0f} GiB free"
    yield Finding(what="results", state="ok" if free_gib > 1 else "bad", found=found)
