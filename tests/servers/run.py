"""Asks real servers that others wrote over every wire: `python tests/servers/run.py [NAME …] [--limit N] [--work DIR]`.

Each server gets a virtual environment (or a folder of npm) in a temporary folder, serves a tiny model of random weights
or canned answers on loopback, is looked at by `bench doctor`, is asked the suite quick, and is ended by its process id.
The quality read from random weights means nothing: what counts is that every stream is read to its end, that tokens
are counted, and that every item has a state. Needs the package registries; not a part of the tests.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

HERE = Path(__file__).parent
BENCH = Path(sys.executable).with_name("bench")
READY_S = 180.0
WORD = "sk-loopback-only"
ENV = {
    "SERVERS_KEY": WORD,
    "AWS_ACCESS_KEY_ID": WORD,
    "AWS_SECRET_ACCESS_KEY": WORD,
    "AWS_REGION": "us-east-1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Face:
    """One wire of a server: its address below the server's own, the model's name there, and what else is declared."""

    wire: str
    path: str = "/v1"
    model: str = "tiny"
    key: bool = False
    quirks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """How a server is installed, started. Filled in: {port}, {work}, {here}, {python}, {bin}, {behind} = llama.cpp."""

    name: str
    install: tuple[str, ...]
    command: tuple[str, ...]
    faces: tuple[Face, ...]
    package: str
    npm: bool = False
    prepare: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    ready: str = "/"
    behind: bool = False


LITELLM = """\
model_list:
  - model_name: tiny
    litellm_params: {model: openai/tiny, api_base: "{behind}/v1", api_key: none}
litellm_settings: {telemetry: false, drop_params: true}
"""
GEMINI = """\
transfer = []
[provider.llama]
api_url = "{behind}/v1"
api_key = "none"
[model.tiny]
provider = "llama"
model = "tiny"
"""
CANNED = json.dumps(
    {
        "fixtures": [
            {
                "match": {"model": "tiny"},
                "response": {"content": "Aye, canned: \u4f60\u597d, caf\u00e9 \U0001f600. The answer is 42."},
            }
        ]
    }
)
KEYED = {"auth": "x-api-key"}
GOOGLE = {"auth": "x-goog-api-key"}

SERVERS = (
    Server(
        name="llama-cpp",
        package="xllamacpp",
        install=("xllamacpp", "gguf"),
        prepare=("{python}", "{here}/tiny_gguf.py", "{work}/tiny.gguf"),
        command=("{python}", "{here}/llama_serve.py", "{work}/tiny.gguf", "{port}"),
        ready="/health",
        faces=(Face("openai_chat"), Face("openai_completions"), Face("openai_responses"), Face("anthropic")),
    ),
    Server(
        name="transformers",
        package="transformers",
        install=("torch==2.13.0", "transformers[serving]>=5.23"),
        prepare=("{python}", "{here}/tiny_llama.py", "{work}/tiny-llama"),
        command=(
            "{bin}/transformers",
            "serve",
            "{work}/tiny-llama",
            *("--host", "127.0.0.1", "--port", "{port}", "--device", "cpu", "--log-level", "error"),
        ),
        ready="/health",
        faces=tuple(
            Face(wire, model="{work}/tiny-llama") for wire in ("openai_chat", "openai_completions", "openai_responses")
        ),
    ),
    Server(
        name="litellm",
        package="litellm",
        install=("litellm[proxy]",),
        files={"litellm.yaml": LITELLM},
        command=("{bin}/litellm", "--config", "{work}/litellm.yaml", "--host", "127.0.0.1", "--port", "{port}"),
        env={
            "LITELLM_MASTER_KEY": WORD,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PATH": "{bin}:" + os.environ.get("PATH", ""),
        },
        ready="/health/liveliness",
        behind=True,
        faces=(
            Face("openai_chat", key=True),
            Face("openai_completions", key=True),
            Face("openai_responses", key=True),
            Face("anthropic", key=True, quirks=KEYED),
            Face("gemini", "/v1beta", key=True, quirks=GOOGLE),
        ),
    ),
    Server(
        name="aimock",
        package="@copilotkit/aimock",
        npm=True,
        install=("@copilotkit/aimock",),
        files={"canned.json": CANNED},
        command=("{bin}/llmock", "-p", "{port}", "-f", "{work}/canned.json", "-c", "5", "-l", "2"),
        ready="/health",
        faces=(
            Face("openai_chat"),
            Face("openai_completions"),
            Face("openai_responses"),
            Face("anthropic", key=True, quirks=KEYED),
            Face("gemini", "/v1beta", key=True, quirks=GOOGLE),
            Face("ollama", ""),
            Face("bedrock", "", quirks={"auth": "sigv4"}),
        ),
    ),
    Server(
        name="llm-katan",
        package="llm-katan",
        install=("llm-katan",),
        command=(
            "{bin}/llm-katan",
            *("--model", "tiny", "--backend", "echo", "--port", "{port}", "--host", "127.0.0.1"),
            *("--providers", "openai,anthropic,vertexai,bedrock", "--stats-file", "{work}/katan.json"),
        ),
        ready="/health",
        faces=(
            Face("openai_chat", key=True),
            Face("anthropic", key=True, quirks=KEYED),
            Face("gemini", "/v1beta", key=True),
            Face("bedrock", "", key=True),
        ),
    ),
    Server(
        name="ollama-proxy-plus",
        package="ollama-proxy-plus",
        install=("ollama-proxy-plus",),
        command=("{bin}/ollama-proxy", "serve", "--host", "127.0.0.1", "--port", "{port}"),
        env={
            "PROVIDERS_LLAMA_BASE_URL": "{behind}/v1",
            "PROVIDERS_LLAMA_API_KEY": "none",
            "EXTRA_MODELS": "llama/tiny",
        },
        ready="/api/version",
        behind=True,
        faces=(Face("ollama", "", model="llama/tiny"),),
    ),
    Server(
        name="api-for-gemini",
        package="api-for-gemini",
        install=("api-for-gemini",),
        files={"gemini/config.toml": GEMINI},
        command=(
            "{bin}/uvicorn",
            "api_for_gemini.server.main:app",
            *("--app-dir", "{work}/gemini", "--host", "127.0.0.1", "--port", "{port}"),
        ),
        ready="/status",
        behind=True,
        faces=(Face("gemini", "/v1beta", key=True, quirks=GOOGLE),),
    ),
)


class Bed:
    """The folder that a server lives in while it is looked at."""

    def __init__(self, server: Server, work: Path, behind: str) -> None:
        self.server, self.work, self.folder = server, work, work / "envs" / server.name
        self.bin = self.folder / ("node_modules/.bin" if server.npm else "bin")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.words = {
            "{port}": str(self.port),
            "{work}": str(work),
            "{here}": str(HERE),
            "{python}": str(self.bin / "python"),
            "{bin}": str(self.bin),
            "{behind}": behind,
        }

    def fill(self, text: str) -> str:
        for name, value in self.words.items():
            text = text.replace(name, value)
        return text

    def install(self) -> None:
        if not self.bin.exists() and self.server.npm:
            self.folder.mkdir(parents=True)
            subprocess.run(
                ("npm", "install", "--silent", "--prefix", str(self.folder), *self.server.install), check=True
            )
        elif not self.bin.exists():
            subprocess.run((sys.executable, "-m", "venv", str(self.folder)), check=True)
            subprocess.run((self.bin / "pip", "install", "-q", *self.server.install), check=True)
        for name, text in self.server.files.items():
            (self.work / name).parent.mkdir(exist_ok=True)
            (self.work / name).write_text(self.fill(text))
        if self.server.prepare:
            subprocess.run([self.fill(part) for part in self.server.prepare], check=True, capture_output=True)

    def version(self) -> str:
        if self.server.npm:
            manifest = self.folder / "node_modules" / self.server.package / "package.json"
            return str(json.loads(manifest.read_text())["version"])
        code = f"import importlib.metadata as m; print(m.version({self.server.package!r}))"
        return subprocess.run(
            (self.bin / "python", "-c", code), check=True, capture_output=True, text=True
        ).stdout.strip()

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """The server's address while it runs. RuntimeError when it does not come up."""
        env = {**os.environ, **ENV, **{name: self.fill(value) for name, value in self.server.env.items()}}
        address = f"http://127.0.0.1:{self.port}"
        inside = self.work / "gemini" if self.server.name == "api-for-gemini" else self.work
        with (self.work / f"{self.server.name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.fill(part) for part in self.server.command],
                stdout=log,
                stderr=log,
                env=env,
                cwd=inside,
                start_new_session=True,
            )
            try:
                wait_for(address + self.server.ready, process)
                yield address
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Returns once the address answers anything but a 5xx."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode} before it answered")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as refused:
            if refused.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise RuntimeError(f"{url} did not answer within {READY_S:g} s")


def declared(bed: Bed, address: str) -> dict[str, Face]:
    """Writes targets.toml; the ids of the targets in it."""
    faces = {f"{bed.server.name}-{face.wire}": face for face in bed.server.faces}
    blocks = []
    for name, face in faces.items():
        quirks = ", ".join(f"{word} = {json.dumps(value)}" for word, value in face.quirks.items())
        blocks.append(
            f'[[targets]]\nid = "{name}"\nmodel = "{bed.fill(face.model)}"\nwire = "{face.wire}"\n'
            f'base_url = "{address}{face.path}"\nquirks = {{ {quirks} }}\n'
            + ('key = "env:SERVERS_KEY"\n' if face.key else "")
        )
    (bed.work / "targets.toml").write_text("\n".join(blocks))
    return faces


def bench(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **ENV, "BENCH_TARGETS": str(work / "targets.toml"), "BENCH_RESULTS": str(work / "results")}
    return subprocess.run(
        (BENCH, *arguments), capture_output=True, text=True, env=env, cwd=work, timeout=900, check=False
    )


def look(bed: Bed, target: str, limit: int) -> dict[str, Any]:
    """What doctor and a run said of one target."""
    asked = bench(bed.work, "doctor", target, "--json")
    (bed.work / f"{target}.doctor.json").write_text(asked.stdout)
    try:
        findings = json.loads(asked.stdout)
    except ValueError:
        findings = []
    tally = collections.Counter(finding["state"] for finding in findings)
    ran = bench(bed.work, "run", "quick", "-t", target, "--limit", str(limit), "--fresh")
    (bed.work / f"{target}.run.txt").write_text(ran.stdout + ran.stderr)
    folders = sorted(
        (bed.work / "results" / "runs").glob(f"*-{re.sub('[^A-Za-z0-9]+', '_', target)}-*"),
        key=lambda path: path.stat().st_mtime,
    )
    told: dict[str, Any] = {
        "doctor": {"rc": asked.returncode, **tally},
        "bad": [f"{one['what']}: {one['found']}" for one in findings if one["state"] == "bad"],
        "run": ran.returncode,
        "items": 0,
    }
    if folders and (kept := folders[-1] / "samples.jsonl").exists():
        samples = [json.loads(line) for line in kept.read_text().splitlines()]
        first = {(one["task"], one["item_id"], one["repeat"]): one for one in samples}
        told["items"] = len(first)
        told["states"] = dict(collections.Counter(f"{one['state']} ({one['reason']})" for one in first.values()))
    if folders:
        told.update(requests(folders[-1]))
    return told


def requests(folder: Path) -> dict[str, Any]:
    """Of all attempts, those of getting ready too: their ends, and how many had their tokens counted."""
    columns = ("status", "finish_reason", "in_tokens", "out_tokens")
    if (sealed := folder / "requests.parquet").exists():
        rows = duckdb.sql(f"select {', '.join(columns)} from '{sealed}'").fetchall()
    else:
        lines = map(json.loads, (folder / "requests.jsonl").read_text().splitlines())
        rows = [tuple(line.get(name) for name in columns) for line in lines]
    return {
        "ends": dict(collections.Counter(f"{row[0]}/{row[1]}" for row in rows)),
        "counted": sum(None not in row[2:] for row in rows),
        "requests": len(rows),
    }


def row(bed: Bed, version: str, face: Face, told: dict[str, Any]) -> str:
    doctor = told["doctor"]
    marks = "/".join(str(doctor.get(state, 0)) for state in ("ok", "note", "bad"))
    states = (
        ", ".join(f"{count} {state}" for state, count in told.get("states", {}).items()) or f"none, exit {told['run']}"
    )
    ends = ", ".join(f"{count} {end}" for end, count in told.get("ends", {}).items()) or "none"
    counted = f"{told.get('counted', 0)} of {told.get('requests', 0)}"
    return (
        f"| {face.wire} | {bed.server.name} ({bed.server.package} {version}) | {marks} | {told['items']} "
        f"| {states} | {ends} | {counted} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(server.name for server in SERVERS))
    parser.add_argument("--limit", type=int, default=2, help="items per task")
    parser.add_argument("--work", type=Path, help="a folder that stays, with what was installed; else a temporary one")
    options = parser.parse_args()
    known = {server.name: server for server in SERVERS}
    if unknown := set(options.names) - set(known):
        parser.error(f"no server named {', '.join(sorted(unknown))}: {', '.join(known)}")
    work = (options.work or Path(tempfile.mkdtemp(prefix="bench-servers-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    rows, failed = [], []
    try:
        with contextlib.ExitStack() as stack:
            chosen = [known[name] for name in options.names or known]
            behind = ""
            if any(server.behind for server in chosen):
                back = Bed(known["llama-cpp"], work, "")
                back.install()
                behind = stack.enter_context(back.running())
            for server in chosen:
                bed = Bed(server, work, behind)
                print(f"{server.name} …", file=sys.stderr, flush=True)
                try:
                    bed.install()
                    version = bed.version()
                    with bed.running() as address:
                        for target, face in declared(bed, address).items():
                            told = look(bed, target, options.limit)
                            rows.append(row(bed, version, face, told))
                            print(rows[-1], file=sys.stderr, flush=True)
                            for finding in told["bad"]:
                                print(f"    bad: {finding}", file=sys.stderr)
                except (OSError, RuntimeError, subprocess.SubprocessError) as problem:
                    failed.append(f"{server.name}: {problem}")
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    print("| wire | server | doctor ok/note/bad | items | states | ends of requests | tokens counted |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(sorted(rows)))
    for problem in failed:
        print(f"not looked at: {problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
