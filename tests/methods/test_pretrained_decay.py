"""Decay to the pre-trained weights against AdamW's formula with another centre."""

import math

import pytest
import torch
from linear_loss import LinearLoss, coefficients, train, weights

from holdfast import Engine, HoldfastError, PretrainedDecay


def adamw(gradients, w0, lr, decay, centre, scale=1.0):
    w, m, v = w0, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        w -= lr * decay * (w - centre)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= scale * lr * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("decay", "own"), [(2.0, 2.0), (2.0, 0.0), (5.0, 0.5), (0.0, 1.0)])
def test_the_centre_moves_and_the_optimizers_own_decay_goes(decay, own, biases):
    """Head (and biases, unless asked for) keep the optimizer's decay to zero; the step has the documented scale."""
    model = LinearLoss()
    start, given = weights(model), coefficients(20)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=own)
    train(Engine(model, [PretrainedDecay(decay, biases)], optimizer=optimizer, max_grad_norm=None), given)
    for at, w in enumerate(weights(model)):
        held = at < (8 if biases else 6)
        scale = (1 - 1e-3 * decay) / (1 - 1e-3 * own)
        settings = (decay, start[at], scale) if held else (own, 0.0)
        assert w == pytest.approx(adamw(given[:, at].tolist(), start[at], 1e-3, *settings), abs=1e-6), at


def test_weights_without_a_task_stay_exactly_where_they_are():
    """Plain AdamW would shrink them by a tenth."""
    model = LinearLoss()
    start = weights(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=1.0)
    train(Engine(model, [PretrainedDecay(1.0)], optimizer=optimizer), torch.zeros(10, 14))
    assert weights(model)[:6] == pytest.approx(start[:6], abs=1e-6)
    assert weights(model)[8:] == pytest.approx([w * 0.99**10 for w in start[8:]], abs=1e-6)


def test_a_decay_inside_the_gradient_is_refused():
    for kind in (torch.optim.Adam, torch.optim.SGD):
        optimizer = lambda p, kind=kind: kind(p, lr=1e-3, weight_decay=0.01)  # noqa: E731
        with pytest.raises(HoldfastError, match=f"cannot undo that of {kind.__name__}"):
            train(Engine(LinearLoss(), [PretrainedDecay()], optimizer=optimizer), coefficients(1))


def test_what_cannot_work_is_refused():
    engine = Engine(LinearLoss(), [PretrainedDecay(3000)], optimizer=torch.optim.AdamW)
    with pytest.raises(HoldfastError, match=r"pretrained_decay\(decay=3000\) diverges at learning rate 0.001"):
        train(engine, coefficients(1))
    with pytest.raises(HoldfastError, match="decay must be a number of at least 0"):
        PretrainedDecay(-1)
