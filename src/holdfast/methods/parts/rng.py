"""Random draws outside the forward pass: from a generator of the method's own, which checkpoints keep."""

import hashlib

import torch


def own_generator(name: str, seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator that depends on the training's ``seed`` and on ``name``, so that methods draw apart."""
    digest = hashlib.sha256(f"{name} {seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8]) >> 1)
