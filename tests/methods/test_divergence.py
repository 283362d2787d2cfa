import math

import pytest
import torch

from holdfast.methods.parts.divergence import divergence, squared_difference, symmetric_bernoulli_kl, symmetric_kl


def softmax(row):
    largest = max(row)
    powers = [math.exp(x - largest) for x in row]
    return [x / sum(powers) for x in powers]


def test_symmetric_kl_is_the_sum_of_both_divergences():
    a, b = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    expected = []
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        p, q = softmax(x), softmax(y)
        expected.append(sum(i * math.log(i / j) + j * math.log(j / i) for i, j in zip(p, q, strict=True)))
    assert torch.allclose(symmetric_kl(a, b).double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5)


def test_symmetric_kl_keeps_precision_for_tiny_differences():
    """For small d, KL_S is the quadratic form d^T (diag p - p p^T) d."""
    a = torch.randn(8, 4)
    p = a.double().softmax(-1)
    d = torch.randn(8, 4) * 1e-4
    b = a + d
    moved = b.double() - a.double()
    expected = (p * moved**2).sum(-1) - (p * moved).sum(-1) ** 2
    assert torch.allclose(symmetric_kl(a, b).double(), expected, rtol=1e-2)


def test_symmetric_kl_of_equal_logits_is_exactly_zero_and_does_not_see_a_shift():
    a = torch.randn(4, 3) * 50
    assert symmetric_kl(a, a.clone()).eq(0).all()
    b = torch.randn(4, 3)
    assert torch.allclose(symmetric_kl(a, b), symmetric_kl(a + 7, b - 3), rtol=1e-4, atol=1e-4)


def test_half_precision_inputs_are_compared_in_float32():
    a, b = torch.randn(4, 3).bfloat16(), torch.randn(4, 3).bfloat16()
    assert symmetric_kl(a, b).dtype == torch.float32
    assert torch.equal(symmetric_kl(a, b), symmetric_kl(a.float(), b.float()))


def test_bernoulli_kl_is_two_class_kl_of_each_label():
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    two = symmetric_kl(torch.stack([a, torch.zeros_like(a)], -1), torch.stack([b, torch.zeros_like(b)], -1))
    assert torch.allclose(symmetric_bernoulli_kl(a, b), two.sum(-1), rtol=1e-5)


def test_regression_takes_the_squared_difference_of_any_shape():
    a, b = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [4.0]])
    assert torch.equal(squared_difference(a, b), torch.tensor([0.25, 4.0]))
    assert torch.equal(divergence("regression", a.squeeze(-1), b.squeeze(-1)), torch.tensor([0.25, 4.0]))


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression", "tokens"])
def test_divergence_is_symmetric_with_right_gradients(kind):
    shape = (2, 3, 4) if kind == "tokens" else (3, 4)
    a = torch.randn(shape, requires_grad=True)
    b = torch.randn(shape)
    assert torch.allclose(divergence(kind, a, b), divergence(kind, b, a), rtol=1e-5)
    (gradient,) = torch.autograd.grad(divergence(kind, a, b).sum(), a)
    direction, h = torch.randn(shape), 1e-2
    slope = (divergence(kind, a + h * direction, b).sum() - divergence(kind, a - h * direction, b).sum()) / (2 * h)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope.detach()), rel=2e-3, abs=1e-3)
