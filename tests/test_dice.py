"""The dice: the same everywhere, fair, and nothing else."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from bench.items.dice import Dice


def test_the_stream_is_sha256_over_the_seed_and_a_counter():
    block = sha256(b"abc" + (0).to_bytes(8, "big")).digest()
    dice = Dice("abc")
    assert [dice.below(256) for _ in range(32)] == list(block)
    assert dice.below(256) == sha256(b"abc" + (1).to_bytes(8, "big")).digest()[0]


def test_draws_written_down_once_come_again():
    dice = Dice("core_ledger/1/frozen-1/3/17")
    drawn = (
        [dice.integer(-5, 1000) for _ in range(5)],
        dice.sample("abcdefgh", 4),
        dice.chance(1, 2),
        dice.choice("xyz"),
    )
    assert drawn == ([133, 41, 812, 591, 266], ["d", "b", "f", "e"], False, "z")


def test_every_face_comes_up_as_often():
    dice = Dice("fair")
    seen = Counter(dice.below(7) for _ in range(14_000))
    chi_squared = sum((seen[face] - 2000) ** 2 / 2000 for face in range(7))
    assert chi_squared < 22.5  # 99.9% of fair dice, 6 degrees of freedom


def test_numbers_stay_inside_their_range_up_to_the_largest():
    dice = Dice("range")
    assert {dice.integer(3, 5) for _ in range(200)} == {3, 4, 5}
    assert all(0 <= dice.below(1 << 64) < 1 << 64 for _ in range(100))
    assert dice.below(1) == 0


@pytest.mark.parametrize("n", [0, -1, (1 << 64) + 1])
def test_an_impossible_range_is_an_error(n):
    with pytest.raises(ValueError, match="below"):
        Dice("x").below(n)


def test_a_sample_never_takes_a_place_twice_and_leaves_the_options_alone():
    options = list("aabbcc")
    drawn = Dice("sample").sample(options, 6)
    assert sorted(drawn) == options == list("aabbcc")
    assert sorted(Dice("shuffle").shuffled(range(50))) == list(range(50))
    with pytest.raises(ValueError, match="sample of 7 from 6"):
        Dice("x").sample(options, 7)


def test_a_chance_is_exact():
    dice = Dice("chance")
    assert not any(dice.chance(0, 5) for _ in range(50))
    assert all(dice.chance(5, 5) for _ in range(50))
    assert 800 < sum(dice.chance(1, 4) for _ in range(4000)) < 1200
