import pytest
import torch
from torch import nn
from torch.func import functional_call

from holdfast import HoldfastError
from holdfast.stability import hessian_curvature, lanczos
from holdfast.stability.curvature import hessian_product, labelled_loss, trainable
from tiny import batch, classifier


def mse(model, given):
    x, y = given
    return nn.functional.mse_loss(model(x), y)


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.Linear(4, 1)).double()
    model[0].bias.requires_grad_(False)
    x, y = torch.randn(11, 3).double(), torch.randn(11, 1).double()
    return model, x, y


def full_hessian(model, x, y):
    """By torch.func, over the flat vector of trainable weights, in evaluation mode."""
    parameters = {name: one.detach() for name, one in model.named_parameters() if one.requires_grad}
    sizes = [one.numel() for one in parameters.values()]

    def value(flat):
        parts = flat.split(sizes)
        named = {name: part.view_as(one) for (name, one), part in zip(parameters.items(), parts, strict=True)}
        return nn.functional.mse_loss(functional_call(model.eval(), named, (x,)), y)

    return torch.autograd.functional.hessian(value, torch.cat([one.flatten() for one in parameters.values()]))


def test_extremes_equal_those_of_the_full_hessian(network):
    """Batches of unequal length count by their rows."""
    model, x, y = network
    model.train()
    found = hessian_curvature(model, [(x[:8], y[:8]), (x[8:], y[8:])], loss=mse, steps=40)
    assert all(module.training for module in model.modules())
    values = torch.linalg.eigvalsh(full_hessian(model, x, y))
    assert values[0] < -1e-3
    assert found.least == pytest.approx(values[0].item(), abs=1e-8)
    assert found.largest == pytest.approx(values[-1].item(), abs=1e-8)


def test_product_equals_the_full_hessian_times_it(network):
    model, x, y = network
    vector = [torch.randn_like(one) for one in trainable(model)]
    model.eval()
    found = hessian_product(model, [(x, y)], vector, loss=mse)
    flat = torch.cat([one.flatten() for one in vector])
    assert torch.allclose(torch.cat([one.flatten() for one in found]), full_hessian(model, x, y) @ flat)


@pytest.mark.slow
def test_a_transformer_with_fused_attention():
    """Central differences of gradients along the same vector say the same."""
    model = classifier("bert", dropout=0.3)
    model.train()
    torch.manual_seed(1)
    given = batch()
    found = hessian_curvature(model, [given], steps=6)
    assert found.steps == 6
    assert found.least < found.largest
    assert model.training
    assert all(one.grad is None for one in model.parameters())

    model.eval().double()
    vector = [torch.randn_like(one) for one in trainable(model)]
    product = hessian_product(model, [given], vector)

    def gradients(step):
        with torch.no_grad():
            for one, along in zip(trainable(model), vector, strict=True):
                one += step * along
        value = torch.autograd.grad(labelled_loss(model, given), trainable(model), materialize_grads=True)
        with torch.no_grad():
            for one, along in zip(trainable(model), vector, strict=True):
                one -= step * along
        return torch.cat([one.flatten() for one in value])

    difference = (gradients(1e-6) - gradients(-1e-6)) / 2e-6
    assert torch.allclose(torch.cat([one.flatten() for one in product]), difference, atol=1e-4 * difference.abs().max())


def test_lanczos_on_known_spectra():
    """Few distinct values end it early; many come from a few steps at the ends."""
    values = torch.tensor([-2.0, 0.5, 0.5, 0.5, 3.0], dtype=torch.float64)
    found = lanczos(lambda v: [values * v[0]], [values])
    assert (found.least, found.largest, found.steps) == (pytest.approx(-2), pytest.approx(3), 3)
    wide = torch.cat([torch.linspace(0, 1, 2000), torch.tensor([-5.0, 40.0])])
    found = lanczos(lambda v: [wide * v[0]], [wide], steps=60)
    assert (found.least, found.largest) == (pytest.approx(-5, abs=1e-4), pytest.approx(40, abs=1e-3))


def test_refused(network):
    model, x, y = network
    with pytest.raises(HoldfastError, match="no batches"):
        hessian_curvature(model, [], loss=mse)
    with pytest.raises(HoldfastError, match="steps is 0"):
        hessian_curvature(model, [(x, y)], loss=mse, steps=0)
    with pytest.raises(HoldfastError, match="not finite"):
        hessian_curvature(model, [(x * torch.inf, y)], loss=mse)
    with pytest.raises(HoldfastError, match="Sequential has no trainable weights"):
        hessian_curvature(model.requires_grad_(False), [(x, y)], loss=mse)
