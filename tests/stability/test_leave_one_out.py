import numpy as np
import pytest
import torch
from torch import nn

from holdfast import HoldfastError
from holdfast.stability import (
    hard_margin,
    largest_learning_rate,
    leave_one_out,
    leave_one_out_full,
    leave_one_out_head,
    with_constant,
)
from holdfast.stability.head_descent import draw_heads
from stability.blobs import blobs


def plain(x, y, classes, start, steps, rate, reduction):
    """Mean of heads after gradient descent with autograd; start is (heads, d) or (heads, d, k)."""
    weights = start.clone().requires_grad_()
    for _ in range(steps):
        losses = []
        for head in weights:
            scores = x @ head
            two = classes == 2
            losses.append(
                nn.functional.binary_cross_entropy_with_logits(scores, y.double())
                if two
                else nn.functional.cross_entropy(scores, y)
            )
        loss = torch.stack(losses)
        (gradient,) = torch.autograd.grad(loss.mean() if reduction == "mean" else loss.sum(), weights)
        weights = (weights - rate * gradient).detach().requires_grad_()
    return weights.detach().mean(dim=0)


@pytest.mark.parametrize(
    ("classes", "dimension", "heads", "reduction"),
    [(2, 3, 1, "mean"), (2, 30, 1, "mean"), (2, 3, 3, "sum"), (2, 30, 3, "mean"), (3, 3, 1, "mean"), (3, 30, 2, "sum")],
)
def test_all_at_once_equals_a_loop(classes, dimension, heads, reduction, monkeypatch):
    """Few and many dimensions take different roads; small blocks must not matter."""
    monkeypatch.setattr(leave_one_out, "_BLOCK", 500)
    x, y = blobs(18, dimension, 1.0, noise=0.7, classes=classes)
    found = leave_one_out_head(x, y + 5, 25, 0.8, heads, init_scale=0.3, seed=4, reduction=reduction)
    rows = with_constant(x)
    shape = (dimension + 1,) if classes == 2 else (dimension + 1, classes)
    start = draw_heads(shape, heads, 0.3, 4, x.device).movedim(-1, 0)
    full = plain(rows, y, classes, start, 25, 0.8, reduction)

    def unit(head):
        head = head if classes == 2 else head - head.mean(dim=1, keepdim=True)
        return head / head.norm()

    def loss(head, i):
        scores = rows[i] @ head
        if classes == 2:
            return torch.log1p(torch.exp(-scores if y[i] == 1 else scores))
        return torch.logsumexp(scores, 0) - scores[y[i]]

    for i in range(18):
        kept = torch.arange(18) != i
        without = plain(rows[kept], y[kept], classes, start, 25, 0.8, reduction)
        assert found.distances[i].item() == pytest.approx((unit(without) - unit(full)).norm().item(), abs=1e-8)
        assert found.parameter_distances[i].item() == pytest.approx((without - full).norm().item(), abs=1e-8)
        assert found.loss_changes[i].item() == pytest.approx(abs(loss(without, i) - loss(full, i)).item(), abs=1e-8)
        assert torch.allclose(found.directions[i], unit(without), atol=1e-8)
    assert found.mean == pytest.approx(found.distances.numpy().mean())
    assert found.max == found.distances.max().item()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_sample_of_rows_is_part_of_all(classes):
    x, y = blobs(18, 4, 1.0, noise=0.4, classes=classes)
    whole = leave_one_out_head(x, y, 15, 0.5, 2)
    some = leave_one_out_head(x, y, 15, 0.5, 2, left_out=[7, 0, 16])
    for name in ("distances", "parameter_distances", "loss_changes", "directions"):
        torch.testing.assert_close(getattr(some, name), getattr(whole, name)[[7, 0, 16]])
    assert torch.equal(some.direction, whole.direction)


def test_many_steps_go_to_the_largest_margin():
    """Soudry et al.: slowly, as 1/log T here, and so do the distances between rows left out."""
    x, y = blobs(20, 3, 1.0)
    rows = with_constant(x)
    limit = hard_margin(rows, y)
    rate = 0.9 * largest_learning_rate(rows)
    gaps = [
        float((leave_one_out_head(x, y, steps, rate).direction - limit.direction).norm())
        for steps in (100, 1000, 10_000)
    ]
    assert gaps[0] > 1.3 * gaps[1] > 1.3**2 * gaps[2]


def mean_distance(n=60, dimension=20, distance=2.0, steps=500, **options):
    """Over three sets, with half of the largest learning rate."""
    found = []
    for seed in range(3):
        x, y = blobs(n, dimension, distance, seed=seed)
        rate = largest_learning_rate(with_constant(x)) / 2
        found.append(leave_one_out_head(x, y, steps, rate, init_scale=0.1, **options).mean)
    return float(np.mean(found))


def test_more_rows_are_more_stable():
    """About 1/n, where the bound says one over the root of n."""
    rows = [20, 40, 80, 160]
    slope, _ = np.polyfit(np.log(rows), np.log([mean_distance(n=n, steps=200) for n in rows]), 1)
    assert slope == pytest.approx(-1, abs=0.2)


def test_a_larger_margin_is_more_stable():
    distances = [mean_distance(distance=distance) for distance in (1.0, 2.0, 4.0)]
    assert distances[0] > 1.4 * distances[1] > 1.4**2 * distances[2]


def test_more_steps_are_more_stable():
    """For well separated classes, and once the common initialisation is forgotten."""
    distances = [mean_distance(steps=steps) for steps in (3, 30, 1000)]
    assert distances[0] > 1.05 * distances[1] > 1.05**2 * distances[2]


def test_learning_rate_limit():
    """The largest curvature of the mean logistic loss is at 0 weights, and steps of 2 over it are the limit."""
    x, y = blobs(30, 4, 1.0)
    curvature = torch.autograd.functional.hessian(
        lambda w: nn.functional.softplus(-(2 * y - 1) * (x @ w)).mean(), torch.zeros(4, dtype=torch.float64)
    )
    assert largest_learning_rate(x) == pytest.approx(2 / torch.linalg.eigvalsh(curvature)[-1].item())


def test_full_tuning_of_a_mean_by_hand():
    """The model is the mean of its rows: without row i it moves by |x_i - mean| / (n - 1)."""
    data = torch.arange(12.0).view(6, 2) ** 2
    asked = []

    def train(left_out):
        asked.append(left_out)
        return {"mean": data[[i for i in range(6) if i not in left_out]].mean(dim=0)}

    seen = []
    found = leave_one_out_full(train, 6, 4, seed=1, progress=seen.append)
    assert asked == [(), *((i,) for i in found.left_out)]
    assert len(set(found.left_out)) == 4
    assert seen == [1, 2, 3, 4, 5]
    by_hand = (data - data.mean(dim=0)).norm(dim=1) / 5
    assert found.distances == pytest.approx(by_hand[list(found.left_out)].tolist())
    assert found.mean == pytest.approx(np.mean(found.distances))
    assert found.max == max(found.distances)
    assert found.standard_error(6) == pytest.approx(np.std(found.distances, ddof=1) / 2 * (1 / 3) ** 0.5)
    assert leave_one_out_full(train, 6, 6).standard_error(6) == 0


def test_full_tuning_keeps_its_own_copy():
    weights = {"w": torch.zeros(2)}

    def train(left_out):
        weights["w"].fill_(len(left_out))
        return weights

    assert leave_one_out_full(train, 3, 2).distances == pytest.approx([2**0.5] * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"heads": 0}, "heads is 0"),
        ({"heads": 2, "init_scale": 0.0}, "2 heads with init_scale 0 are one and the same"),
        ({"reduction": "max"}, "reduction is 'max'"),
        ({"y": torch.zeros(6)}, "y holds 1 classes"),
        ({"y": torch.tensor([0, 0, 0, 1, 1, 2])}, "class 2 in y has one row"),
        ({"y": torch.tensor([0.5, 0, 0, 1, 1, 1])}, "y holds fractions"),
        ({"y": torch.zeros(5)}, r"not \(6, 2\) and \(5,\)"),
        ({"x": torch.full((6, 2), torch.nan)}, "missing values, first in row 0"),
        ({"left_out": []}, "left_out is empty"),
        ({"left_out": [1, 6]}, "left_out names row 6: there are rows 0 to 5"),
    ],
)
def test_refused(options, message):
    given = {"x": torch.ones(6, 2), "y": torch.arange(6) % 2, "steps": 3, "learning_rate": 0.1} | options
    with pytest.raises(HoldfastError, match=message):
        leave_one_out_head(**given)


def test_a_sample_of_one_is_refused():
    with pytest.raises(HoldfastError, match="sample is 1: leave out between 2 rows and all 5"):
        leave_one_out_full(lambda left_out: {}, 5, 1)
    with pytest.raises(HoldfastError, match="only one of the two models has 'weight', did you mean 'wight'"):
        leave_one_out_full(lambda left_out: {"wight" if left_out else "weight": torch.ones(1)}, 5, 2)
