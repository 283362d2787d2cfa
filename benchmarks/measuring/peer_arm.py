"""A peer at work, in a loop as plain as can be."""

import time
from collections.abc import Callable

import torch

from holdfast.errors import HoldfastError
from measuring.setup import Setup, adamw
from measuring.training import Training
from peers.peer import Peer

_MAX_GRAD_NORM = 1.0
"""As the Engine clips."""


class PeerArm(Training):
    """A peer in a training of ``total_steps`` optimizer steps."""

    def __init__(self, peer: Peer, setup: Setup, total_steps: int) -> None:
        super().__init__(setup, total_steps)
        if setup.precision == "fp16":
            raise HoldfastError(f"{peer.name} runs without loss scaling: use --precision bf16 or fp32 with --peers")
        self.model = setup.model()
        self.given = [*self.model.parameters(), *self.model.buffers()]
        began = time.perf_counter()
        self._objective = peer.objective(self.model)
        self.optimizer = adamw(self.model.parameters())
        self.preparing = time.perf_counter() - began
        self._steps = self._micro = 0

    def forward_backward(self) -> None:
        """Do the passes of one micro-batch."""
        with self.setup.arithmetic():
            loss = self._objective(next(self.batches))
        (loss / self.setup.accumulation).backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Close a micro-batch; the last of an optimizer step updates the weights."""
        self._micro += 1
        if self._micro % self.setup.accumulation:
            return
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRAD_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._steps += 1

    def walk(self, until: int, watch: Callable[[], None] = lambda: None) -> dict[int, float]:
        """Go on to step ``until``: nothing is done outside the passes, all steps are alike."""
        skipped = range(self._steps, until)
        self.skip(until)
        return dict.fromkeys(skipped, 0.0)

    def skip(self, until: int) -> None:
        """Go on to step ``until`` without doing anything."""
        self._steps = max(self._steps, until)
