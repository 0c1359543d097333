"""Holds an engine on a leash: when our standard input closes, the engine's whole process group goes.

    python leash.py COMMAND …        (standard library only; run as a file)

The other end of that pipe is held by `serve`. It closes when `serve` ends and, because the kernel sees to it, when its
process dies of anything, kill -9 included. Interrupt, then terminate, then kill, each with a deadline.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

STEPS_S = ((signal.SIGINT, 4.0), (signal.SIGTERM, 4.0))
"""Signal and how long it is given before the next; the last is SIGKILL."""


def main(argv: list[str]) -> int:
    for number, _ in STEPS_S:
        signal.signal(number, lambda *_: None)  # outlive our own signals; unlike SIG_IGN, not inherited by the engine
    try:
        engine = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_watch, args=(engine,), daemon=True).start()
    code = engine.wait()
    os.killpg(os.getpgrp(), signal.SIGTERM)  # workers the engine left behind
    return code if code >= 0 else 128 - code


def _watch(engine: subprocess.Popen[bytes]) -> None:
    """Blocks until the pipe closes; then ends the group, this process included."""
    while os.read(0, 4096):
        pass
    for number, patience_s in STEPS_S:
        os.killpg(os.getpgrp(), number)
        try:
            engine.wait(patience_s)
            break
        except subprocess.TimeoutExpired:
            continue
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
