import pytest
import torch
from torch import nn

from holdfast import HoldfastError
from holdfast.stability import feature_norm, gradient_norms, weight_distance
from tiny import batch, classifier


def test_gradient_norms_by_hand():
    """For (w x - y)^2 the gradient is 2 (w x - y) x."""
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[1.0, -1.0]])
    x, y = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[1.0], [3.0]])
    found = gradient_norms(
        model, zip(x.split(1), y.split(1), strict=True), loss=lambda m, b: nn.functional.mse_loss(m(b[0]), b[1])
    )
    assert found.norms == pytest.approx([2 * 2 * 5, 2 * 2 * 1])
    assert found.lipschitz == pytest.approx(20)
    assert found.mean == pytest.approx(12)


def test_gradient_norms_of_a_transformer():
    """No dropout, no gradient left behind, and the modes as they were; the mean gradient is no longer than any."""
    model = classifier("bert", dropout=0.5)
    model.train()
    whole = batch()
    rows = [{name: value[i : i + 1] for name, value in whole.items()} for i in range(len(whole["labels"]))]
    found = gradient_norms(model, rows)
    assert found == gradient_norms(model, rows)
    assert model.training
    assert all(one.grad is None for one in model.parameters())
    model.eval()
    model(**whole).loss.backward()
    together = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None]).norm().item()
    assert 0 < together <= found.mean <= found.lipschitz
    with pytest.raises(HoldfastError, match="example 0 is a batch of"):
        gradient_norms(model, [whole])
    with pytest.raises(HoldfastError, match="no examples"):
        gradient_norms(model, [])


def test_weight_distance_by_hand():
    a = {"w": torch.tensor([1.0, 2.0]), "b": torch.tensor(0.0), "seen": torch.tensor(3)}
    b = {"w": torch.tensor([4.0, 2.0]), "b": torch.tensor(4.0, dtype=torch.bfloat16), "seen": torch.tensor(9)}
    assert weight_distance(a, b) == pytest.approx(5)
    with pytest.raises(HoldfastError, match=r"w is \(2,\) in one model and \(3,\) in the other"):
        weight_distance(a, {**b, "w": torch.ones(3)})
    with pytest.raises(HoldfastError, match="only one of the two models has 'b'"):
        weight_distance(a, {"w": a["w"], "seen": a["seen"]})


def test_feature_norm():
    assert feature_norm(torch.tensor([[3.0, 4.0], [1.0, 1.0]])) == pytest.approx(5)
    with pytest.raises(HoldfastError, match="at least one row"):
        feature_norm(torch.zeros(0, 3))
