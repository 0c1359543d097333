"""The weights that come with the package are what their headers, the log and the README say."""

import csv
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bench.engines.embedded import family, find
from bench.engines.embedded.alphabet import BOS, EOS, encode
from bench.engines.embedded.forward import Cache, Rows, load
from bench.errors import ConfigError
from bench.items.draw import build
from bench.items.quick import TASKS

HERE = Path(sys.modules[family.__module__].__file__).parent
LOG = list(csv.DictReader((HERE / "training_log.csv").read_text().splitlines()))
WHOLE = [model for model in family() if model.checkpoint_of is None]
EARLY = [model for model in family() if model.checkpoint_of]


def logged(model):
    """The row of the training log at which this state was saved."""
    name = model.checkpoint_of or model.name
    (row,) = [row for row in LOG if row["model"] == name and int(row["tokens"]) == model.tokens_seen]
    return row


def test_at_least_five_sizes_saw_the_same_tokens_and_two_were_kept_halfway():
    assert len(WHOLE) >= 5
    assert len({model.tokens_seen for model in WHOLE}) == 1
    assert len(EARLY) == 2
    for model in EARLY:
        assert model.tokens_seen < find(model.checkpoint_of).tokens_seen
        assert model.parameters == find(model.checkpoint_of).parameters


def test_parameters_are_counted_right_and_the_files_are_small():
    for model in family():
        weights = load(model.path)
        layers = [a for layer in weights.layers for a in vars(layer).values()]
        assert model.parameters == weights.embed.size + weights.norm.size + sum(array.size for array in layers)
    assert sum(model.path.stat().st_size for model in family()) < 15 * 1000**2


def test_the_hash_is_that_of_the_file():
    model = family()[0]
    assert model.sha256 == sha256(model.path.read_bytes()).hexdigest()


def test_the_catalogue_needs_no_numpy_to_list_the_family():
    listing = "import sys; from bench.engines.embedded import family; family(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("model", [WHOLE[0], WHOLE[len(WHOLE) // 2], EARLY[0]], ids=lambda model: model.name)
def test_the_accuracy_in_the_log_is_met_again_in_numpy(model):
    """Float16 may turn a coin or two of 240."""
    decoder, row = load(model.path), logged(model)
    shares = []
    for task in TASKS:
        right = [answers(decoder, item) for item in build(task, "frozen-1")]
        shares.append(sum(right) / len(right))
        assert abs(shares[-1] - float(row[task.name])) <= 2 / 30 + 1e-3
    assert abs(sum(shares) / len(shares) - float(row["macro"])) <= 3 / 240


def answers(decoder, item):
    """Greedy decoding is right if and only if every step's favourite is."""
    tokens = [BOS, *encode(f"{item.prompt} {item.target}"), EOS]
    favourites = decoder.forward([Rows(tokens[:-1], Cache(decoder))]).argmax(axis=1)
    begin = len(item.prompt)
    return bool(np.array_equal(favourites[begin:], tokens[begin + 1 :]))


def test_five_targets_differ_beyond_their_intervals():
    """Binomial 95% half-widths of 240 items, both counted."""
    left, apart = sorted(float(logged(model)["macro"]) for model in family()), []
    for value in left:
        half = 1.96 * (value * (1 - value) / 240) ** 0.5
        if not apart or value - half > apart[-1]:
            apart.append(value + half)
    assert len(apart) >= 5
    assert left[0] < 0.4
    assert left[-1] > 0.9


def test_the_readme_shows_the_logged_figures():
    table = dict(re.findall(r"^\| `([a-z-]+)` \|.* \| ([.0-9]+) ± [.0-9]+ \|", (HERE / "README.md").read_text(), re.M))
    assert {name: float(value) for name, value in table.items()} == {
        model.name: round(float(logged(model)["macro"]), 3) for model in family()
    }


def test_a_name_may_carry_the_engines_and_a_wrong_one_costs_one_line():
    assert find(f"embedded:{WHOLE[0].name}") == WHOLE[0]
    with pytest.raises(ConfigError, match="embedded model 'giant' does not exist; known: "):
        find("giant")
