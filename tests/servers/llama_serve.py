"""llama.cpp's own HTTP server, from the wheel xllamacpp: `python llama_serve.py MODEL.gguf PORT`, until it is ended."""

from __future__ import annotations

import signal
import sys

import xllamacpp


def serve(model: str, port: int) -> None:
    """Two slots of 8,192 tokens each, on loopback."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"tiny"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = 16384, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
