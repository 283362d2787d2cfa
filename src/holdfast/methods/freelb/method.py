"""FreeLB: train on every step of the way to the worst perturbation of the embeddings."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Forward, Method, Perturb, Probe, Selection
from holdfast.methods.freelb.loss_sum import LossSum
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.model.freezing import BODY, INPUTS
from holdfast.methods.parts.noise.ascent import Delta, precise, reached
from holdfast.methods.parts.outputs import logits_of, other_loss, task_loss_of
from holdfast.methods.parts.padding import TEXTS, real_tokens

_PASSES = "at every pass"


@torch.no_grad()
def ascend(delta: Tensor, gradient: Tensor, step_size: float, radius: float) -> Tensor:
    """Return delta + step_size * g / |g|_2, shortened to |.|_2 <= radius where radius is above 0.

    ``delta``, ``gradient``: (sequences, tokens, width); norms are over each sequence. Zhu et al. 2020, and the
    published code, of which the least norm, 1e-8, that g is divided by.
    """
    norm = _length(gradient).clamp_min(1e-8)
    moved = delta + step_size * gradient / norm
    return moved * (radius / _length(moved).clamp_min(radius)) if radius > 0 else moved


def _length(tensor: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
    return length


@dataclass(frozen=True)
class FreeLB(Method):
    """Free large-batch adversarial training (Zhu et al. 2020).

    The loss is the mean over K = ``steps`` passes of the task's loss at x + delta_t. delta_0 is 0 or uniform; each
    pass gives the gradient of the weights and that of delta at once, and delta takes a step along the latter,
    delta <- delta + step_size * g / |g|_2, projected onto |delta|_2 <= ``radius``. There is no clean pass, unless
    delta_0 is 0. As in the published code all passes have the same dropout masks.

    Example:
        >>> engine = Engine(model, [FreeLB(steps=2)], optimizer=make_optimizer)
        >>> engine.backward(engine.loss(batch))
        >>> stepped = engine.step()
    """

    name: ClassVar[str] = "freelb"
    summary: ClassVar[str] = "trains on perturbed embeddings at every step of the ascent to the worst"

    steps: int = 3
    """K, passes a batch; 1 with ``init`` 0 is plain fine-tuning."""
    step_size: float = 0.1
    """Length of a step of the perturbation, over all entries of a sequence."""
    init: float = 0.0
    """delta_0 is uniform in +-init / sqrt(entries of the sequence) on its real tokens."""
    radius: float = 0.0
    """Largest length of the perturbation; 0 sets no limit."""
    same_dropout: bool = True
    """All passes of a batch have the same dropout masks."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise HoldfastError(f"freelb(steps={self.steps}): there must be at least 1 pass")
        for name in ("step_size", "init", "radius"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise HoldfastError(f"freelb({name}={value!r}): {name} must be a number of at least 0")

    @property
    def uses(self) -> frozenset[str]:
        """The body, which runs on the perturbed rows, down to its inputs, and the norm over each text."""
        return frozenset({BODY, INPUTS, TEXTS})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is."""
        input_embedding(model)

    def selection(self, model: nn.Module) -> Selection | None:
        """Return the trained weights, whose gradient is kept apart during a step."""
        if self.steps == 1:
            return None
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        state = sum(p.numel() * p.element_size() for p in weights.values())
        return Selection(weights, f"gradients of {self.steps} passes added up", state)

    def disturb(self, probe: Probe) -> Perturb | None:
        """Make all passes but the last and return the perturbation of the last."""
        self.memory.pop("passes", None)
        if self.steps == 1 and self.init == 0:
            return None
        delta = Delta(functools.partial(self._start, probe.batch))
        passes = LossSum([p for p in probe.step.model.parameters() if p.requires_grad], self.name)
        for _ in range(self.steps - 1):
            logits = logits_of(probe(delta.added, same_dropout=self.same_dropout), self.name)
            loss = probe.task_loss(logits)
            if loss is None:
                if not bool(torch.isfinite(logits).all()):
                    # Nothing can be learned from such a batch about the model, nor will the step be made.
                    return None
                raise other_loss(self.name, _PASSES)
            slope = reached(passes.add(loss, 1 / self.steps, delta.value), self.name)
            delta.move(ascend(delta.value, slope, self.step_size, self.radius))
        if self.steps > 1:
            self.memory["passes"] = passes
        return delta.added_fixed

    def penalty(self, forward: Forward) -> Tensor | None:
        """The mean over all passes, less the loss of the last, which is the task's."""
        passes: LossSum | None = self.memory.pop("passes", None)
        if passes is None:
            return None
        last = task_loss_of(forward, self.name, _PASSES)
        if last is None:
            return None
        return passes.term() * forward.share - (1 - 1 / self.steps) * last(logits_of(forward.outputs, self.name))

    def finish(self, model: nn.Module) -> None:
        """Let go of the gradients of a batch that was broken off."""
        self.memory.clear()

    def _start(self, batch: Mapping[str, Any], embeddings: Tensor) -> Tensor:
        zeros = torch.zeros_like(embeddings, dtype=precise(embeddings))
        if self.init == 0:
            return zeros
        real = real_tokens(batch, embeddings, self.name)[:, :, None].to(zeros.dtype)
        entries = real.sum(1, keepdim=True).clamp_min(1) * embeddings.shape[-1]
        return zeros.uniform_(-1, 1) * real * (self.init / entries.sqrt())
