"""The hand-written training loop that most tests run: an Engine, its optimizer, and the batches of its steps."""

from dataclasses import dataclass, field

import torch

from holdfast import Engine, Method, MethodSession
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


@dataclass(frozen=True)
class Noted(Method):
    """A method whose sessions note what they see, each from the beginning."""

    notes: dict = field(default_factory=dict, init=False, repr=False, compare=False)


class NotedSession(MethodSession):
    def __init__(self, method, model, plan):
        super().__init__(method, model, plan)
        method.notes.clear()

    def note(self, name, value):
        self.method.notes.setdefault(name, []).append(value)
