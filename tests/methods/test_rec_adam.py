"""RecAdam against the published update rule in plain Python."""

import math
from unittest.mock import Mock

import pytest
import torch
from linear_loss import LinearLoss, coefficients, train, weights

from holdfast import Engine, HoldfastError, RecAdam
from holdfast.methods.base import Plan
from holdfast.methods.rec_adam.annealing import annealed
from tiny import batch, classifier


def published(gradients, w0, rates, anneal, k, t0, gamma, target, decay, coupled, pulled):
    """One weight's way, in the order of the published code: step, pull, decay."""
    w, m, v = w0, 0.0, 0.0
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        g = g + decay * w if coupled else g
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        direction = m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        if pulled:
            rise = 1 / (1 + math.exp(-k * (t - t0))) if anneal == "sigmoid" else min(1, t / t0)
            w -= lr * rise * target * direction
            w -= lr * (target - rise * target) * gamma * (w - w0)
        else:
            w -= lr * direction
        w -= 0 if coupled else lr * decay * w
    return w


@pytest.mark.parametrize("kind", ["AdamW", "Adam", "amsgrad off, fused"])
@pytest.mark.parametrize(
    ("anneal", "k", "t0", "share", "target"),
    [("sigmoid", 0.5, 8, 8, 1.0), ("linear", 0.5, 15, 0.75, 0.8), ("sigmoid", 50.0, 12, 12, 1.0)],
)
def test_twenty_steps_of_the_published_rule(anneal, k, t0, share, target, kind):
    """With the head in the body's groups, a falling rate, weight decay, and a lambda of 0 in the last case."""
    model = LinearLoss()
    start, given = weights(model), coefficients(20)
    optimizer = {
        "AdamW": lambda p: torch.optim.AdamW(p, 1e-4, weight_decay=0.01),
        "Adam": lambda p: torch.optim.Adam(p, 1e-4, weight_decay=0.01),
        "amsgrad off, fused": lambda p: torch.optim.AdamW(p, 1e-4, weight_decay=0.01, fused=True),
    }[kind](model.parameters())
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 20)
    rates = [1e-4 * (1 - 0.95 * t / 20) for t in range(20)]
    method = RecAdam(anneal, k=k, t0=share, gamma=5000.0, target=target)
    engine = Engine(model, [method], optimizer=optimizer, scheduler=scheduler, max_grad_norm=None, total_steps=20)
    train(engine, given)
    for at, w in enumerate(weights(model)):
        settings = (anneal, k, t0, 5000.0, target, 0.01, kind == "Adam")
        expected = published(given[:, at].double().tolist(), start[at], rates, *settings, pulled=at < 8)
        assert w == pytest.approx(expected, abs=1e-6), at
    assert abs(weights(model)[0] - start[0]) > 5e-5
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (pytest.approx(5e-6), 0.01)


def test_before_t0_the_body_stays_and_the_head_learns():
    model = classifier("bert")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    engine = Engine(model, [RecAdam(k=1.0, t0=50, gamma=10.0)], optimizer=lambda p: torch.optim.Adam(p, 1e-2))
    for seed in range(4):
        engine.backward(engine.loss(batch(seed=seed)))
        engine.step()
    moved = {name: float((p - before[name]).abs().max()) for name, p in model.named_parameters()}
    assert max(value for name, value in moved.items() if name.startswith("bert.")) < 1e-6
    assert moved["classifier.weight"] > 0.02


def test_annealing():
    assert annealed("sigmoid", 250, 0.5, 250, 1.0) == 0.5
    assert annealed("sigmoid", 1, 1.0, 5000, 1.0) == pytest.approx(0.0, abs=1e-300)
    assert [annealed("linear", t, 0.5, 4, 0.8) for t in (1, 4, 9)] == [0.2, 0.8, 0.8]


def refused(match, method, optimizer, **options):
    with pytest.raises(HoldfastError, match=match):
        train(Engine(LinearLoss(), [method], optimizer=optimizer, **options), coefficients(1))


def test_what_cannot_work_is_refused_before_a_weight_moves():
    def adamw(rate):
        return lambda p: torch.optim.AdamW(p, rate)

    refused("holds the weights for 250 steps and training has 60", RecAdam(), adamw(1e-5), total_steps=60)
    refused("whose length is not known", RecAdam(t0=0.3), adamw(1e-5))
    refused(r"rec_adam\(gamma=5000\) diverges at learning rate 0.001", RecAdam(), adamw(1e-3))
    refused(r"rec_adam\(gamma \* target=40000\) diverges at learning rate 0.0001", RecAdam(target=8.0), adamw(1e-4))
    refused("the optimizer is SGD", RecAdam(), lambda p: torch.optim.SGD(p, 1e-3))
    with pytest.raises(HoldfastError, match="k must be a number above 0"):
        RecAdam(k=0)


def test_a_linear_rise_may_end_with_the_training():
    RecAdam("linear", t0=60).check_plan(Plan(60))
    for method in (RecAdam("linear", t0=61), RecAdam(t0=60)):
        with pytest.raises(HoldfastError, match=r"training has 60: train longer, or give t0 as a share"):
            method.check_plan(Plan(60))


def test_a_step_that_broke_off_leaves_no_lowered_rate(monkeypatch):
    """Out of memory inside the optimizer, and the loop goes on with the same one: weight decay was 1e10 otherwise."""
    model = LinearLoss()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, weight_decay=0.01)
    engine = Engine(model, [RecAdam(k=50.0, t0=50)], optimizer=optimizer)
    with monkeypatch.context() as broken:
        broken.setattr(optimizer, "step", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            train(engine, coefficients(1))
    optimizer.zero_grad()
    train(engine, coefficients(2))
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-5, 0.01)


def test_the_head_takes_the_whole_step_of_amsgrad():
    """Large gradients first, so that the largest second moment is not the last."""
    model, plain = LinearLoss(), LinearLoss()
    given = coefficients(10) * torch.logspace(2, -2, 10)[:, None]
    optimizers = [torch.optim.AdamW(m.parameters(), 1e-3, amsgrad=True, weight_decay=0.1) for m in (model, plain)]
    train(Engine(model, [RecAdam(k=1.0, t0=50, gamma=1.0)], optimizer=optimizers[0], max_grad_norm=None), given)
    train(Engine(plain, optimizer=optimizers[1], max_grad_norm=None), given)
    assert weights(model)[8:] == pytest.approx(weights(plain)[8:], abs=1e-6)


def test_the_peak_rate_of_a_warm_up_is_looked_at_from_the_start():
    model = LinearLoss()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: t / 100)
    with pytest.raises(HoldfastError, match=r"diverges at learning rate 0.001"):
        train(Engine(model, [RecAdam()], optimizer=optimizer, scheduler=scheduler), coefficients(1))
