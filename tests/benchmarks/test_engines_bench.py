"""How fast the embedded engine is: a decoding step alone and in company, a prompt, and the time until it is ready."""

import os
from types import SimpleNamespace

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the server; heeded if numpy is not loaded yet

from bench.engines import serve
from bench.engines.embedded import family
from bench.engines.embedded.forward import Cache, Rows, load
from bench.records import Endpoint

each_model = pytest.mark.parametrize("model", family(), ids=lambda model: model.name)


@each_model
@pytest.mark.parametrize("seats", [1, 16])
def test_decoding_step(benchmark, model, seats):
    """One token for each of so many requests; tokens/s = seats / mean."""
    decoder = load(model.path)
    caches = [Cache(decoder) for _ in range(seats)]

    def step():
        if caches[0].length > 250:
            for cache in caches:
                cache.length = 0
        decoder.forward([Rows([66], cache) for cache in caches])

    benchmark(step)


@each_model
def test_prefill_of_32_characters(benchmark, model):
    decoder = load(model.path)
    benchmark(lambda: decoder.forward([Rows([66] * 32, Cache(decoder))]))


def test_until_an_engine_has_answered_and_is_gone(benchmark):
    def endpoint(base_url):
        return Endpoint(target_id="x", base_url=base_url, wire="openai_completions", model=family()[0].name)

    target = SimpleNamespace(id="x", engine="embedded", model=family()[0].name, base_url=None, endpoint=endpoint)

    def borrow():
        with serve(target):
            pass

    benchmark.pedantic(borrow, rounds=3)
