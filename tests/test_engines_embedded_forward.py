"""The numpy decoder agrees with itself and with the trained reference."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.engines.embedded.alphabet import BOS, EOS, UNK, VOCABULARY, decode, encode
from bench.engines.embedded.family import family
from bench.engines.embedded.forward import Cache, Rows, load, log_softmax

REFERENCE = Path(__file__).parent / "embedded_logits.json"
PROMPT = [BOS, *encode("sort: d a c\nAnswer:")]


@pytest.fixture(scope="module", params=[family()[0].name, family()[-1].name])
def model(request):
    return load(next(m.path for m in family() if m.name == request.param))


def after(model, tokens, sizes):
    """Logits after each token, fed in stretches of these sizes."""
    cache, out, at = Cache(model), [], 0
    for size in sizes:
        out.append(model.forward([Rows(tokens[at : at + size], cache)]))
        at += size
    return np.concatenate(out)


def test_every_character_of_the_suite_has_its_own_token():
    assert decode(encode("max: 17 42\nAnswer:")) == "max: 17 42\nAnswer:"
    assert encode("é") == [UNK]
    assert len(set(VOCABULARY)) == len(VOCABULARY) == 99
    assert decode([BOS, EOS, UNK]) == ""


@pytest.mark.parametrize("name", json.loads(REFERENCE.read_text()))
def test_logits_are_those_of_the_training_code(name):
    """Recorded once from `train.py`: the last logits of a prompt, by torch, from the same float16 weights."""
    recorded = json.loads(REFERENCE.read_text())[name]
    decoder = load(next(m.path for m in family() if m.name == name))
    got = decoder.forward([Rows([BOS, *encode(recorded["prompt"])], Cache(decoder))])[-1]
    np.testing.assert_allclose(got, recorded["logits"], atol=2e-3)


def test_probabilities_sum_to_one(model):
    logs = log_softmax(after(model, PROMPT, [len(PROMPT)]))
    assert logs.dtype == np.float32
    np.testing.assert_allclose(np.exp(logs.astype(np.float64)).sum(axis=1), 1.0, atol=1e-5)


def test_a_prompt_read_whole_in_pieces_or_by_the_token_gives_the_same_logits(model):
    whole = after(model, PROMPT, [len(PROMPT)])
    for sizes in ([1] * len(PROMPT), [7, 5, len(PROMPT) - 12]):
        np.testing.assert_allclose(after(model, PROMPT, sizes), whole, atol=1e-4)


def test_a_cache_grows_without_forgetting(model):
    tokens = PROMPT * 8
    whole = after(model, tokens, [len(tokens)])
    np.testing.assert_allclose(after(model, tokens, [60, 10, len(tokens) - 70]), whole, atol=1e-4)


def test_a_token_does_not_see_what_comes_after_it(model):
    changed = [*PROMPT[:8], *encode("zzzzzzzzzzz")]
    np.testing.assert_array_equal(after(model, changed, [19])[:8], after(model, PROMPT[:19], [19])[:8])


def test_logits_are_the_same_to_the_bit_in_any_company(model):
    def seat(text):
        cache = Cache(model)
        model.forward([Rows([BOS, *encode(text)], cache)])
        return Rows(encode(" "), cache)

    alone = model.forward([seat("12+7=\nAnswer:")])[0]
    for place in (0, 1, 5):
        crowd = [seat(f"copy: {'x' * k}\nAnswer:") for k in range(6)]
        crowd[place] = seat("12+7=\nAnswer:")
        np.testing.assert_array_equal(model.forward(crowd)[place], alone)
