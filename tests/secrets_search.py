"""Keys put to servers that say them back, in every way and place there is; then all that was written is searched.

    python tests/secrets_search.py

Each wire is measured with a canary for a key (and a proxy with one for a password), against a server that echoes
headers and bodies: in errors, answers, thoughts, ids, names, headers, reason phrases, redirects, half-parsed rubbish;
plain, in base64, percent-encoded, escaped, cut over two events. Searched are what the commands print, the run folders,
the database and the columns inside it, the page, and the folder for temporary files.
"""

from __future__ import annotations

import html
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.quality_runs import environment

BENCH = (
    "import bench.traffic as t; t.Patience.__init__.__kwdefaults__.update(max_attempts=2, first_wait_s=0.01, "
    "longest_wait_s=0.02, deadline_s=5.0); from bench.cli import main; main()"
)
"""The command line, less patient."""
WIRES = {
    "openai_chat": "",
    "openai_completions": "",
    "openai_responses": "",
    "anthropic": 'quirks = { auth = "x-api-key" }',
    "gemini": 'quirks = { auth = "x-goog-api-key" }',
    "ollama": "",
    "bedrock": 'quirks = { auth = "sigv4" }',
}
MODES = (
    "500", "400", "401", "403", "429", "html", "base64", "percent", "escaped", "entities", "reason", "redirect",
    "headers", "garbage", "in_band", "answer", "halves", "whole", "not_http",
)  # fmt: skip


def canary(kind: str) -> str:
    """A key nobody has; the ugly one has every character that some coding changes."""
    return f"sk-canary-{kind}-{secrets.token_hex(12)}" + ("+/=\"\\&<>%~'" if kind == "ugly" else "")


# ── who says it back ──────────────────────────────────────────────────────────────────────────────────────────────


class Hostile(BaseHTTPRequestHandler):
    """The mode is the model's name, whatever wire it comes by."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        told = " ".join(f"{name}: {value}" for name, value in self.headers.items())
        echo = f"{told} {body.decode('utf-8', 'replace')}"
        keys = [v.removeprefix("Bearer ") for n, v in self.headers.items() if n.lower() in KEY_HEADERS]
        mode = next((mode for mode in MODES if f"mode-{mode}-" in self.path or f'"mode-{mode}-' in echo), "500")
        self.wfile_bytes(mode, echo, keys[0] if keys else "no key")
        self.close_connection = True

    def do_GET(self) -> None:
        key = next((v.removeprefix("Bearer ") for n, v in self.headers.items() if n.lower() in KEY_HEADERS), "none")
        listed = [{"id": f"model {key}", "name": key, "owned_by": key, "object": "model", "max_model_len": 4096}]
        self.plain(200, json.dumps({"data": listed, "models": listed, "version": key}), "application/json", Server=key)

    def wfile_bytes(self, mode: str, echo: str, key: str) -> None:
        error = {"error": {"message": f"you sent {echo}", "type": key, "code": key, "details": [echo]}}
        match mode:
            case "html":
                self.plain(500, f"<html><title>{html.escape(key)}</title>{html.escape(echo)}</html>", "text/html")
            case "base64":
                told = f"{b64encode(echo.encode()).decode()} {b64encode(key.encode()).decode()}"
                self.plain(500, json.dumps({"error": {"message": told}}), "application/json")
            case "percent":
                self.plain(500, f"see https://help.invalid/?k={quote(key, safe='')}&all={quote(echo)}", "text/plain")
            case "escaped":
                told = "".join(f"\\u{ord(c):04x}" for c in key)
                self.plain(500, '{"error": {"message": "' + told + ' and \\\\"' + told + '"}}', "application/json")
            case "entities":
                self.plain(500, "".join(f"&#{ord(c)};" for c in key) + " " + html.escape(echo), "text/html")
            case "reason":
                self.raw(f"HTTP/1.1 500 {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1"))
            case "redirect":
                self.plain(307, "", "text/plain", Location=f"https://elsewhere.invalid/?key={quote(key)}")
            case "headers":
                self.plain(500, "{}", "application/json", **{"x-request-id": key, "retry-after": key, "x-echo": echo})
            case "garbage":
                self.plain(200, f"data: {{oops {echo}\n\ndata: {key}\n\n", "text/event-stream")
            case "in_band":
                self.plain(200, f"data: {json.dumps(error)}\n\n{json.dumps(error)}\n", "text/event-stream")
            case "answer" | "halves":
                self.plain(
                    200, stream(key, echo, halves=mode == "halves"), "text/event-stream", **{"x-request-id": key}
                )
            case "whole":
                self.plain(200, json.dumps(whole(key, echo)), "application/json", **{"request-id": key})
            case "not_http":
                self.raw(f"SSH-2.0 {key}\r\n{echo}".encode())
            case _:
                self.plain(int(mode), json.dumps(error), "application/json", **{"retry-after": "0.01"})

    def plain(self, status: int, body: str, kind: str, **headers: str) -> None:
        raw = body.encode("utf-8", "replace")
        told = {"Content-Type": kind, "Content-Length": str(len(raw)), "Connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.raw(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1", "replace") + raw)

    def raw(self, data: bytes) -> None:
        with suppress(OSError):
            self.wfile.write(data)
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")


def stream(key: str, echo: str, *, halves: bool) -> str:
    """One answer on all wires at once: each reads its own events out of it and takes the others for rubbish."""
    cut = len(key) // 2
    parts = [key[:cut], key[cut:]] if halves else [f"you sent {key} ", echo]
    call = {"index": 0, "id": key, "type": "function", "function": {"name": key, "arguments": json.dumps({"k": key})}}
    logprobs = {"content": [{"token": key, "logprob": -0.1, "top_logprobs": []}]}
    said: list[dict[str, Any]] = [{"content": part} for part in parts]
    said += [{"reasoning": part} for part in parts] + [{"tool_calls": [call]}, {"refusal": f"no, {key}"}]
    common = {"id": key, "model": f"model {key}", "system_fingerprint": key, "provider": key, "service_tier": key}
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "logprobs": logprobs}]} for delta in said]
    chunks += [{**common, "choices": [{"index": 0, "text": part}]} for part in parts]
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop" if halves else key}]})
    chunks.append({**common, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 3, "cost": key}})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def whole(key: str, echo: str) -> dict[str, Any]:
    """Answers of four wires in one body."""
    text = f"{key} {echo}"
    return {
        "id": key, "model": key, "object": "response", "type": "message", "role": "assistant", "status": "completed",
        "choices": [{"message": {"content": text, "reasoning": text}, "text": text, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}], "modelVersion": key,
        "message": {"content": text, "thinking": text}, "done": True, "done_reason": "stop",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "input_tokens": 3, "output_tokens": 3},
    }  # fmt: skip


@contextmanager
def hostile() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# ── what is searched ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(kw_only=True)
class Found:
    """What the search saw."""

    n_bytes: int = 0
    n_files: int = 0
    hits: list[str] = field(default_factory=list)

    def look(self, where: str, data: bytes, needles: Mapping[str, bytes]) -> None:
        self.n_bytes += len(data)
        for name, needle in needles.items():
            at = data.find(needle)
            if at >= 0:
                self.hits.append(f"{where}: {name}: {data[max(0, at - 40) : at + 60]!r}")


def needles(keys: Mapping[str, str]) -> dict[str, bytes]:
    """The keys as they may stand somewhere: whole in every coding, and 12 characters of their middle and end."""
    found: dict[str, bytes] = {}
    for name, key in keys.items():
        heart = key.removeprefix("sk-canary-").split("-", 1)[1]
        forms = {
            "plain": key, "middle": heart[:12], "end": heart[12:24],
            "percent": quote(key, safe=""), "html": html.escape(key), "json": json.dumps(key)[1:-1],
            "escaped": "".join(f"\\u{ord(c):04x}" for c in key), "entities": "".join(f"&#{ord(c)};" for c in key),
            "hex": key.encode().hex(),
        }  # fmt: skip
        for shift in range(3):
            # Without the characters it shares with its neighbours, whatever they are.
            forms[f"base64 after {shift}"] = b64encode(b"\0" * shift + key.encode()).decode()[4:-4]
        found |= {f"{name} key, {form}": text.encode() for form, text in forms.items() if len(text) >= 8}
    return found


def search(folder: Path, wanted: Mapping[str, bytes], found: Found) -> None:
    """Every byte of every file, and every value inside those that are packed."""
    import duckdb

    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        found.n_files += 1
        name = str(path.relative_to(folder))
        found.look(name, path.read_bytes(), wanted)
        if path.suffix in (".parquet", ".duckdb"):
            with duckdb.connect(":memory:") as db:
                if path.suffix == ".parquet":
                    tables = [f"read_parquet('{path}')"]
                else:
                    db.execute(f"attach '{path}' as it (read_only)")
                    named = "select schema_name, table_name from duckdb_tables() where database_name = 'it'"
                    tables = [f'it."{schema}"."{table}"' for schema, table in db.execute(named).fetchall()]
                for table in tables:
                    for row in db.execute(f"select * from {table}").fetchall():
                        found.look(f"{name}: {table}", repr(row).encode(), wanted)


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────


def targets(url: str, wires: Mapping[str, str]) -> str:
    """targets.toml: every wire with every mode, the two keys in turn."""
    blocks = []
    for wire, more in wires.items():
        for number, mode in enumerate(MODES):
            key = "" if wire == "bedrock" else f'key = "env:CANARY_{("PLAIN", "UGLY")[number % 2]}"'
            blocks.append(
                f'[[targets]]\nid = "{wire}-{mode}"\nbase_url = "{url}/v1"\nwire = "{wire}"\nmodel = "mode-{mode}-x"\n'
                f"{key}\n{more}\nusd_per_mtok_in = 1\nusd_per_mtok_out = 1\n"
                'headers = { "x-extra" = "env:CANARY_PLAIN" }\n'
                "options = { connect_timeout_s = 2.0, first_token_timeout_s = 2.0, stall_timeout_s = 2.0 }\n"
            )
    return "\n".join(blocks)


def searched(place: Path, wires: Mapping[str, str] = WIRES, modes: tuple[str, ...] = MODES) -> Found:
    """Runs every command against the server and searches what they left."""
    keys = {"plain": canary("plain"), "ugly": canary("ugly"), "proxy": canary("proxy")}
    wanted = needles(keys)
    found = Found()
    (place / "tmp").mkdir()
    env = {
        **environment(), "CANARY_PLAIN": keys["plain"], "CANARY_UGLY": keys["ugly"], "TMPDIR": str(place / "tmp"),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": keys["plain"], "AWS_REGION": "us-east-1",
        "AWS_SESSION_TOKEN": keys["ugly"], "OPENAI_API_KEY": keys["plain"], "COLUMNS": "200",
        "HTTPS_PROXY": f"http://me:{quote(keys['proxy'])}@127.0.0.1:9",
    }  # fmt: skip
    with hostile() as url:
        (place / "targets.toml").write_text(targets(url, wires))
        chosen = [f"{wire}-{mode}" for wire in wires for mode in modes]
        asked = [word for name in chosen for word in ("-t", name)]
        few = [word for name in chosen[:3] for word in ("-t", name)]
        some = chosen[:: max(1, len(chosen) // 6)]
        commands = [
            ["run", "quick", *asked, "--limit", "1", "--max-usd", "5"],
            ["run", "quick", *asked, "--limit", "1"],
            ["run", "quick", "-t", "openai:gpt-4o", "--limit", "1"],
            ["doctor", *some],
            ["doctor"],
            ["load", *few, "--arrivals", "closed:2", "--duration", "0.5", "--shape", "20x8"],
            ["targets"],
            ["plan", "quick", "-t", chosen[0]],
            ["report", "--html", "report.html"],
            ["report", "--json"],
            ["db", "build", "--fresh"],
            ["db", "sql", "select * from request_text", "--json"],
        ]  # fmt: skip
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-X", "dev", "-c", BENCH, *command],
                cwd=place, env=env, capture_output=True, timeout=600, check=False,
            )  # fmt: skip
            name = f"bench {' '.join(command[:2])}"
            found.look(f"{name}: stdout", done.stdout, wanted)
            found.look(f"{name}: stderr", done.stderr, wanted)
            if b"Traceback" in done.stderr:
                found.hits.append(f"{name}: a traceback: {done.stderr[-1500:].decode('utf-8', 'replace')}")
    search(place, {**wanted}, found)
    return found


def main() -> int:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        found = searched(Path(folder))
    for hit in found.hits[:40]:
        print(hit)
    print(f"{len(found.hits)} hits in {found.n_bytes:,} bytes of {found.n_files} files and 24 streams of output")
    return 1 if found.hits or found.n_bytes < 1_000_000 else 0


if __name__ == "__main__":
    sys.exit(main())
