import numpy as np
import pytest
import torch

from holdfast import HoldfastError
from holdfast.stability import head_seed_spread, largest_learning_rate, leave_one_out_head, with_constant
from stability.blobs import blobs


def test_spread_falls_as_the_root_of_heads():
    """With the sum over heads each takes the steps that one head would; the spread's own error is some 5 %."""
    x, y = blobs(60, 20, 1.0)
    rate = largest_learning_rate(with_constant(x)) / 2
    heads = [1, 5, 20, 50]
    spreads = [head_seed_spread(x, y, 10, rate, h, init_scale=0.1, seeds=60, reduction="sum").spread for h in heads]
    assert spreads * np.sqrt(heads) == pytest.approx(spreads[0], rel=0.15)
    slope, _ = np.polyfit(np.log(heads), np.log(spreads), 1)
    assert slope == pytest.approx(-0.5, abs=0.04)


def test_the_mean_over_heads_gives_part_of_it_back():
    x, y = blobs(60, 20, 1.0)
    rate = largest_learning_rate(with_constant(x)) / 2
    mean, total = (
        head_seed_spread(x, y, 10, rate, 20, init_scale=0.1, reduction=kind).spread for kind in ("mean", "sum")
    )
    assert mean > 2 * total
    # It is the sum with a learning rate of one twentieth.
    slow = head_seed_spread(x, y, 10, rate / 20, 20, init_scale=0.1, reduction="sum").spread
    assert mean == pytest.approx(slow)


@pytest.mark.parametrize("classes", [2, 3])
def test_spread_and_accuracy_by_hand(classes):
    x, y = blobs(30, 5, 0.5, noise=0.5, classes=classes)
    found = head_seed_spread(x, y, 3, 0.5, init_scale=1.0, seeds=6)
    flat = found.directions.flatten(1).numpy()
    assert np.linalg.norm(flat, axis=1) == pytest.approx(1)
    assert found.spread == pytest.approx(np.sqrt(flat.var(axis=0, ddof=1).sum()))
    rows = with_constant(x)
    for one, share in zip(found.directions, found.accuracies(x, y), strict=True):
        guess = (rows @ one > 0).long() if classes == 2 else (rows @ one).argmax(dim=1)
        assert share.item() == pytest.approx((guess == y).double().mean().item())


def test_one_seed_of_many_is_a_training_of_its_own():
    """Seeds share no head: with one head each, the first seed's head is the first that is drawn."""
    x, y = blobs(20, 4, 1.0)
    several = head_seed_spread(x, y, 5, 0.3, seeds=3, seed=2)
    alone = leave_one_out_head(x, y, 5, 0.3, seed=2)
    assert torch.allclose(several.directions[0], alone.direction)


def test_refused():
    x, y = blobs(20, 4, 1.0)
    with pytest.raises(HoldfastError, match="seeds is 1"):
        head_seed_spread(x, y, 5, 0.3, seeds=1)
    with pytest.raises(HoldfastError, match="init_scale 0"):
        head_seed_spread(x, y, 5, 0.3, init_scale=0)
