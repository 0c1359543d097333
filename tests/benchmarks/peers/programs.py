"""Programs beside us: each installed in an environment of its own, run for a bounded time, stopped with its children.

The first use of one needs the package index and room on the disk: guidellm brings PyTorch, about 6 GB; aiperf 1.2 GB.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from peers import Load, PeerError

VERSIONS = {"guidellm": "0.8.1", "aiperf": "0.13.0"}


def program(name: str, environments: Path) -> Path:
    """The program's path; installs it if it is not there yet."""
    folder = environments.resolve() / name
    path = folder / "bin" / name
    if not path.exists():
        print(f"installing {name} {VERSIONS[name]} in {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        wanted = f"{name}=={VERSIONS[name]}"
        subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", wanted], check=True)
    return path


def run(command: list[str], load: Load, folder: Path, **environment: str) -> None:
    """Runs one to its end; PeerError with its last lines if it fails or takes longer than the load's limit."""
    said = folder / "said.txt"
    around = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **environment}
    with said.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=around, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = process.wait(load.limit_s)
        except subprocess.TimeoutExpired:
            raise PeerError(f"not done after {load.limit_s:g} s") from None
        finally:
            stop(process)
    if code:
        raise PeerError(f"exit {code}: …{said.read_text(errors='replace')[-600:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and what it started: they are one group, led by the process we began."""
    for way, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, way)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def prompts(path: Path, count: int) -> None:
    """JSON Lines of so many prompts, each of which there is once in the world."""
    lines = (json.dumps({"text": f"say {uuid4().hex} please"}) for _ in range(count))
    path.write_text("\n".join(lines) + "\n")


def tokenizer(folder: Path) -> Path:
    """A tokenizer of words in Hugging Face's format, made here because theirs would be fetched."""
    folder.mkdir()
    words = {"<unk>": 0, "say": 1, "please": 2}
    made = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}}
    made |= {"truncation": None, "padding": None, "normalizer": None, "post_processor": None, "decoder": None}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"}
    (folder / "tokenizer.json").write_text(json.dumps({**made, "model": model}))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "model_max_length": 100_000}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder
