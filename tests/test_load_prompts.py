"""Prompts are as long as asked, to the token, and begin like no other, by tokenizers that can be counted by hand."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from math import log2
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load.prompts import NONCE_WORDS, WORDS, Recipe

SPACED = tuple(f" {word}" for word in WORDS)
FIVE = tuple(word for word in SPACED if len(word) == 5)
"""What costs five tokens where each character is one."""
BY_WORD = Recipe(words=SPACED, cost=1, filler=" a", overhead=0, exact=False)
BY_CHARACTER = Recipe(words=FIVE, cost=5, filler="a", overhead=0, exact=False)


def words_in(text: str) -> int:
    return len(text.split())


RECIPES = pytest.mark.parametrize(
    ("recipe", "count"), [(BY_WORD, words_in), (BY_CHARACTER, len)], ids=["a word a token", "a character a token"]
)


@RECIPES
@pytest.mark.parametrize("overhead", [0, 1, 17])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_prompt_counts_as_asked_with_the_servers_own_tokens(
    recipe: Recipe, count: Callable[[str], int], overhead: int, warm: bool
) -> None:
    recipe = replace(recipe, overhead=overhead)
    shared = recipe.shared((1, 2), 3000) if warm else ()
    for tokens in (*range(recipe.least, recipe.least + 60), 200, 511, 512, 1000, 2999, 3000):
        assert count(recipe.prompt(tokens, Random(tokens), shared=shared)) + overhead == tokens


@RECIPES
def test_a_prompt_shorter_than_its_nonce_is_its_nonce(recipe: Recipe, count: Callable[[str], int]) -> None:
    assert recipe.least == NONCE_WORDS * recipe.cost
    assert {count(recipe.prompt(tokens, Random(0))) for tokens in (-5, 0, 1, recipe.least - 1)} == {recipe.least}


def test_without_a_filler_a_prompt_is_as_long_as_whole_words_allow_and_never_longer() -> None:
    recipe = replace(BY_CHARACTER, filler=None, overhead=3)
    got = [len(recipe.prompt(tokens, Random(1))) + 3 for tokens in range(100, 111)]
    assert got == [98, 98, 98, 103, 103, 103, 103, 103, 108, 108, 108]


def test_no_two_cold_prompts_begin_alike() -> None:
    begun = {
        tuple(BY_WORD.prompt(40, Random(f"run:{step}:{n}")).split()[:NONCE_WORDS])
        for step in range(2)
        for n in range(5000)
    }
    assert len(begun) == 10_000
    assert NONCE_WORDS * log2(len(WORDS)) > 45, "bits enough that it is no accident"


def test_cold_prompts_differ_early_most_of_the_time() -> None:
    """A cache works by blocks: what differs in the first block shares nothing."""
    first = [BY_WORD.prompt(40, Random(n)).split()[0] for n in range(2000)]
    assert len(set(first)) == len(WORDS)
    assert max(map(first.count, WORDS)) < 2000 / len(WORDS) * 2.5


def test_warm_prompts_of_one_seed_begin_alike_for_three_quarters_and_end_differently() -> None:
    shared = BY_WORD.shared((5, 0), 1000)
    prompts = [BY_WORD.prompt(408, Random(n), shared=shared).split() for n in range(500)]
    assert len({tuple(prompt[:300]) for prompt in prompts}) == 1  # 75% of 408 - 8
    assert len({tuple(prompt[300:308]) for prompt in prompts}) == 500
    assert len({tuple(prompt[-NONCE_WORDS:]) for prompt in prompts}) == 500


def test_a_longer_warm_prompt_begins_with_all_that_a_shorter_one_shares() -> None:
    shared = BY_WORD.shared((5, 0), 1000)
    short, long = (BY_WORD.prompt(n, Random(n), shared=shared).split() for n in (108, 808))
    assert short[:75] == long[:75]


def test_what_is_shared_is_one_for_one_seed_and_reaches_for_the_longest() -> None:
    assert BY_WORD.shared((5, 0), 1000) == BY_WORD.shared([5, 0], 1000)
    assert BY_WORD.shared((5, 0), 1000)[:20] != BY_WORD.shared((5, 1), 1000)[:20]
    assert len(BY_WORD.shared((5, 0), 1000)) == 1000
    assert len(BY_CHARACTER.shared((5, 0), 1000)) == 200


def test_a_warm_prompt_does_not_begin_as_a_cold_one_of_the_same_draw() -> None:
    shared = BY_WORD.shared((5, 0), 1000)
    assert BY_WORD.prompt(100, Random(9), shared=shared).split()[:8] != BY_WORD.prompt(100, Random(9)).split()[:8]


def test_the_same_draw_is_the_same_prompt() -> None:
    assert BY_WORD.prompt(100, Random("a")) == BY_WORD.prompt(100, Random("a"))


@settings(deadline=None)
@given(cost=st.integers(1, 6), overhead=st.integers(0, 40), tokens=st.integers(1, 700), seed=st.integers(0, 99))
def test_any_cost_of_a_word_and_any_template_come_out_as_asked(
    cost: int, overhead: int, tokens: int, seed: int
) -> None:
    """A made-up tokenizer: of each word `cost` tokens, of the filler one."""
    recipe = Recipe(words=SPACED, cost=cost, filler=".", overhead=overhead, exact=True)
    text = recipe.prompt(tokens, Random(seed))
    counted = cost * len(re.findall(r" \w+", text)) + text.count(".") + overhead
    assert counted == max(tokens, recipe.least)


def test_a_recipe_comes_back_from_json_as_it_was() -> None:
    assert Recipe.of(json.loads(json.dumps(BY_CHARACTER.as_dict()))) == BY_CHARACTER
