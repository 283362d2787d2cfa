"""A model whose gradients are given by the batch, so that optimizers can be followed in plain Python."""

import torch
from torch import nn

import loops


class LinearLoss(nn.Module):
    """Loss = coefficients . (all weights in order): their gradient is the batch's coefficients, whatever they are."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(3, 2), nn.Linear(2, 2)

    @property
    def base_model(self):
        return self.body

    def forward(self, coefficients, labels=None):
        flat = torch.cat([p.flatten() for p in self.parameters()])
        return {"loss": (flat * coefficients[0]).sum(), "logits": flat[None, :2].expand(len(coefficients), 2)}


def weights(model):
    return [float(w) for p in model.parameters() for w in p.flatten()]


def coefficients(steps):
    """(steps, 14) gradients: 6 weights and 2 biases of the body, then 4 and 2 of the head."""
    return torch.randn(steps, 14, generator=torch.Generator().manual_seed(1))


def train(engine, rows):
    loops.train(engine, ({"coefficients": row[None], "labels": torch.zeros(1, dtype=torch.long)} for row in rows))
