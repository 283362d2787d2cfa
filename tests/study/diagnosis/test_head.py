import pytest
import torch
from torch.nn import functional

from holdfast.stability.head_descent import largest_learning_rate, with_constant
from holdfast.study.diagnosis import head
from holdfast.study.diagnosis.head import centres_apart, half, measure_head
from stability.blobs import blobs

NO_START = 1e-9
"""A start this small is none, so that an oracle may begin at 0."""


def plain(x, y, steps, rate):
    """Gradient descent on softmax or logistic loss from 0, by autograd; returns scores for any rows."""
    classes = len(y.unique())
    weights = torch.zeros(x.shape[1], 1 if classes == 2 else classes, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        scores = x @ weights
        if classes == 2:
            loss = functional.softplus(-(2.0 * y - 1) * scores[:, 0]).mean()
        else:
            loss = functional.cross_entropy(scores, y)
        (slope,) = torch.autograd.grad(loss, weights)
        weights = (weights - rate * slope).detach().requires_grad_()
    return weights.detach()


def classes_of(rows, weights):
    scores = rows @ weights
    return (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores.argmax(1)


@pytest.mark.parametrize("classes", [2, 3])
def test_accuracy_and_flips_are_those_of_a_training_for_each_row(classes):
    x, y = blobs(18, 4, 0.5, noise=0.6, classes=classes)
    found = measure_head(x, y, 12, init_scale=NO_START, seed=0).given
    rows = with_constant(x)
    rate = 0.5 * largest_learning_rate(rows, classes)
    whole = plain(rows, y, 12, rate)
    right, flips = 0, 0
    for row in range(18):
        kept = torch.arange(18) != row
        without = plain(rows[kept], y[kept], 12, rate)
        predicted = classes_of(rows[row : row + 1], without)
        right += int(predicted == y[row])
        flips += int(predicted != classes_of(rows[row : row + 1], whole))
    assert found.accuracy == pytest.approx(right / 18)
    assert found.flips == pytest.approx(flips / 18)
    assert 0 < right < 18


def test_twice_the_rows_bring_leave_one_out_down_and_ten_heads_the_spread():
    x, y = blobs(60, 5, 1.0, noise=0.3)
    found = measure_head(x, y, 30, init_scale=0.1, seed=0)
    assert 0.35 < found.gain("rows", "leave_one_out") < 0.75, "about 1/n"
    assert 0.2 < found.gain("heads", "seed_spread") < 0.5, "about 1/sqrt(10)"
    assert found.gain("steps", "seed_spread") < 1, "the start is forgotten"
    assert (found.given.n, found.changed["rows"].n, found.changed["heads"].heads) == (60, 30, 10)
    assert found.left_out == 60
    assert found.changed["steps"].steps == 60
    assert found.changed["rate"].learning_rate == found.given.learning_rate / 2


def test_with_many_rows_a_sample_is_left_out(monkeypatch):
    x, y = blobs(120, 4, 1.0, noise=0.3)
    exact = measure_head(x, y, 20, init_scale=0.02, seed=0).given
    monkeypatch.setattr(head, "_WORK", 1)
    sampled = measure_head(x, y, 20, init_scale=0.02, seed=0)
    assert sampled.left_out == 20
    assert sampled.given.leave_one_out == pytest.approx(exact.leave_one_out, rel=0.5)
    assert sampled.given.seed_spread == exact.seed_spread


def test_a_small_class_leaves_the_halves_out():
    x, y = blobs(20, 3, 1.0)
    y[y == 1] = 0
    y[:2] = 1
    found = measure_head(x, y, 5, init_scale=0.02, seed=0)
    assert "rows" not in found.changed
    assert found.gain("rows", "leave_one_out") is None


def test_half_keeps_the_share_of_each_class():
    y = torch.tensor([0] * 10 + [1] * 5 + [2] * 3)
    rows = half(y, torch.Generator().manual_seed(0))
    assert y[rows].bincount().tolist() == [5, 3, 2]
    assert len(set(rows.tolist())) == len(rows)
    assert rows.tolist() != half(y, torch.Generator().manual_seed(1)).tolist()


def test_centres_move_apart_and_nothing_else_does():
    x, y = blobs(30, 4, 1.5, classes=3)
    y = torch.tensor([2, 5, 9])[y]
    further = centres_apart(x, y)
    for a, b in ((2, 5), (2, 9), (5, 9)):
        before = x[y == a].mean(0) - x[y == b].mean(0)
        after = further[y == a].mean(0) - further[y == b].mean(0)
        torch.testing.assert_close(after, 2 * before)
    for label in (2, 5, 9):
        inside = x[y == label] - x[y == label].mean(0)
        torch.testing.assert_close(further[y == label] - further[y == label].mean(0), inside)
