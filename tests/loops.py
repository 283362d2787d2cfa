"""The hand-written training loop that most tests run: an Engine, its optimizer, and the batches of its steps."""

import torch

from holdfast import Engine
from tiny import batch


def sgd(rate=0.1, **options):
    return lambda parameters: torch.optim.SGD(parameters, rate, **options)


def adamw(rate=1e-2, **options):
    return lambda parameters: torch.optim.AdamW(parameters, rate, **options)


def engine(model, *methods, optimizer=None, **options):
    """An Engine with these methods, by default on ``sgd()``."""
    return Engine(model, methods, optimizer=optimizer or sgd(), **options)


def batches(count, start=0, **options):
    """``count`` batches, each of its own seed."""
    return [batch(seed=seed, **options) for seed in range(start, start + count)]


def train(engine, batches):
    """One call of ``step`` a batch; returns the losses."""
    losses = []
    for data in batches:
        loss = engine.loss(data)
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    return losses
