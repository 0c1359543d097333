"""The training code, where torch is at hand (it is no dependency)."""

import pytest

torch = pytest.importorskip("torch")

from bench.engines.embedded import train  # noqa: E402
from bench.engines.embedded.alphabet import BOS, EOS, decode  # noqa: E402

PAIRS = [("copy: ab\nAnswer:", "ab"), ("1+1=\nAnswer:", "2")]


def test_only_the_answer_and_its_end_are_asked_for():
    batch = train.lay_out(PAIRS)
    assert decode(batch.answers.tolist()) == " ab 2"
    assert batch.answers.tolist().count(EOS) == 2
    assert batch.tokens[batch.places == 0].tolist() == [BOS, BOS]


def test_an_item_is_not_changed_by_its_neighbours():
    torch.manual_seed(0)
    model = train.Decoder(*train.SIZES["nano"])
    both, alone = model(train.lay_out(PAIRS)), model(train.lay_out(PAIRS[1:]))
    torch.testing.assert_close(both[-len(alone) :], alone)


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 48, 16)])
def test_muons_update_has_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(train.orthogonal(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_the_same_seed_trains_the_same_batches():
    plan = train.Plan(items=8, batch=4)
    first, second = (next(train.batches(plan)) for _ in range(2))
    assert first.tokens.tolist() == second.tokens.tolist()
