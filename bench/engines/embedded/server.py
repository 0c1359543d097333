"""An OpenAI-compatible server for the embedded family, on loopback.

    python -m bench.engines.embedded.server --models nano,small --port 8123

GET /health, /v1/models; POST /v1/chat/completions, /v1/completions, /tokenize. `--port 0` takes a free port and prints
it. One process, one event loop: the sockets get their turn after every model step.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable

from bench.engines.embedded.answering import Answer, Served
from bench.engines.embedded.batching import Batcher
from bench.engines.embedded.family import EmbeddedModel, find
from bench.engines.embedded.forward import load
from bench.engines.embedded.http import Connection, Exchange
from bench.engines.embedded.protocol import BadRequest, Call, Json, known_model, parse, parse_json, tokenized
from bench.errors import ConfigError

HOST = "127.0.0.1"


class Server:
    """The models of one process and what may be asked of them."""

    def __init__(self, models: list[EmbeddedModel]) -> None:
        self.models = {m.name: Served(m.name, Batcher(load(m.path)), f"fp_{m.sha256[:12]}") for m in models}
        self.contexts = {m.name: m.context for m in models}
        self.started = int(time.time())
        self.routes: dict[tuple[str, str], Callable[[bytes, Exchange], Answer | None]] = {
            ("GET", "/health"): lambda _, exchange: exchange.finish({"status": "ok"}),
            ("GET", "/v1/models"): self._models,
            ("POST", "/tokenize"): self._tokenize,
            ("POST", "/v1/chat/completions"): lambda body, exchange: self._generate("chat", body, exchange),
            ("POST", "/v1/completions"): lambda body, exchange: self._generate("completion", body, exchange),
        }

    def route(self, method: str, path: str, body: bytes, exchange: Exchange) -> Answer | None:
        answer = self.routes.get((method, path))
        try:
            if answer is None:
                status = 405 if any(path == known for _, known in self.routes) else 404
                raise BadRequest(f"no {method} {path} here", code="not_found", status=status)
            return answer(body, exchange)
        except BadRequest as error:
            exchange.finish(error.body(), error.status)
            return None

    def _generate(self, call: Call, body: bytes, exchange: Exchange) -> Answer:
        ask = parse(call, body, self.contexts)
        return Answer(ask, self.models[ask.model], exchange)

    def _models(self, _: bytes, exchange: Exchange) -> None:
        listed: list[Json] = [
            {"id": name, "object": "model", "created": self.started, "owned_by": "gapbench", "max_model_len": context}
            for name, context in self.contexts.items()
        ]
        exchange.finish({"object": "list", "data": listed})

    def _tokenize(self, body: bytes, exchange: Exchange) -> None:
        asked = parse_json(body)
        model = known_model(asked, self.contexts)
        exchange.finish(tokenized(asked, model, self.contexts[model]))


async def serve(server: Server, port: int) -> None:
    """Until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    listening = await loop.create_server(lambda: Connection(server.route), HOST, port)
    steps = [asyncio.create_task(served.batcher.run()) for served in server.models.values()]
    print(f"serving {', '.join(server.models)} on http://{HOST}:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    ended = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([ended, *steps], return_when=asyncio.FIRST_COMPLETED)
    listening.close()
    for task in done - {ended}:
        task.result()  # a step that failed takes the server down, with its traceback in the log


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", required=True, help="names, separated by commas")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    try:
        asyncio.run(serve(Server([find(name) for name in args.models.split(",")]), args.port))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
