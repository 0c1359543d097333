"""A server that says, to whoever asks, the bytes it was given, cut where it was told: what SDKs and our client are
compared on.

    with replaying() as server:
        server.say(b"data: …", "text/event-stream", cuts=[3, 70])
        client = openai.OpenAI(base_url=server.url, api_key="x")
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any


class Replay:
    """What is said next, and what was asked last."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        """(path, headers by lower-case name, body) of each request."""
        self._body = b""
        self._head: tuple[int, str, dict[str, str]] = (200, "application/json", {})
        self._cuts: Sequence[int] = ()

    def say(
        self, body: bytes, content_type: str, *, cuts: Sequence[int] = (), status: int = 200, **headers: str
    ) -> None:
        """From now on every request gets this; each cut ends a chunk of HTTP. `_` in a header's name means `-`."""
        self._body, self._cuts = body, sorted({cut for cut in cuts if 0 < cut < len(body)})
        self._head = status, content_type, {name.replace("_", "-"): value for name, value in headers.items()}

    def pieces(self) -> list[bytes]:
        edges = [0, *self._cuts, len(self._body)]
        return [self._body[a:b] for a, b in pairwise(edges) if b > a]


def some_cuts(body: bytes, dice: random.Random, most: int = 40) -> list[int]:
    """Random places to cut, anywhere: inside lines, characters and frames."""
    return sorted(dice.sample(range(1, len(body)), min(dice.randint(0, most), len(body) - 1))) if len(body) > 1 else []


@contextmanager
def replaying() -> Iterator[Replay]:
    """A running server; stopped at the end."""
    replay = Replay()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            replay.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, kind, headers = replay._head
            self.send_response(status)
            for name, value in {"content-type": kind, "transfer-encoding": "chunked", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                for piece in replay.pieces():
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST  # noqa: N815  (the names are http.server's)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        replay.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield replay
        finally:
            server.shutdown()
            thread.join()
