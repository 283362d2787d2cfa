"""Gaussian classes around centres that lie apart on the first axes."""

import torch


def blobs(n, dimension, distance, noise=0.125, classes=2, seed=0):
    """Return float64 rows, (n, dimension), and classes in turn; two centres are ``distance`` apart."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    x = noise * torch.randn(n, dimension, generator=generator, dtype=torch.float64)
    if classes == 2:
        x[:, 0] += (y - 0.5) * distance
    else:
        x += distance * torch.eye(classes, dimension, dtype=torch.float64)[y]
    return x, y
