"""FreeLB: train on every step of the way to the worst perturbation of the embeddings."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Forward, Perturb, TrialForward
from holdfast.methods.freelb.ascent import ascend
from holdfast.methods.freelb.loss_sum import LossSum
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.noise.ascent import Delta, precise, reached
from holdfast.methods.parts.outputs import logits_of, other_loss, task_loss_of
from holdfast.methods.parts.padding import real_tokens
from holdfast.methods.requires import Footprint, Part, Requires

_PASSES = "at every pass"


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
    def requires(self) -> Requires:
        """The body, which runs on the perturbed rows, down to its inputs, and the norm over each text."""
        return Requires(uses={Part.BODY, Part.INPUT_GRADIENTS, Part.TEXTS}, outputs=True, inputs=True)

    def check(self, model: nn.Module) -> Footprint:
        """Return the trained weights, whose gradient is kept apart during a step.

        Raises ``HoldfastError`` when the model does not say where its input embedding is.
        """
        input_embedding(model)
        if self.steps == 1:
            return Footprint()
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        state = sum(p.numel() * p.element_size() for p in weights.values())
        return Footprint(weights, f"gradients of {self.steps} passes added up", state)

    def start(self, model: nn.Module, plan: Plan) -> "FreeLBSession":
        """Return the session; the model stays as it is."""
        return FreeLBSession(self, model, plan)


class FreeLBSession(MethodSession[FreeLB]):
    """The passes of a micro-batch before the last."""

    def __init__(self, method: FreeLB, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._passes: LossSum | None = None

    def perturb_inputs(self, trial: TrialForward) -> Perturb | None:
        """Make all passes but the last and return the perturbation of the last."""
        method = self.method
        self._passes = None
        if method.steps == 1 and method.init == 0:
            return None
        delta = Delta(functools.partial(_initial, method, trial.batch))
        passes = LossSum([p for p in self.model.parameters() if p.requires_grad], method.name)
        for _ in range(method.steps - 1):
            logits = logits_of(trial(delta.added, same_dropout=method.same_dropout), method.name)
            loss = trial.task_loss(logits)
            if loss is None:
                if not bool(torch.isfinite(logits).all()):
                    # Nothing can be learned from such a batch about the model, nor will the step be made.
                    return None
                raise other_loss(method.name, _PASSES)
            slope = reached(passes.add(loss, 1 / method.steps, delta.value), method.name)
            delta.move(ascend(delta.value, slope, method.step_size, method.radius))
        if method.steps > 1:
            self._passes = passes
        return delta.added_fixed

    def loss(self, forward: Forward) -> Tensor | None:
        """The mean over all passes, less the loss of the last, which is the task's."""
        passes, self._passes = self._passes, None
        if passes is None:
            return None
        method = self.method
        last = task_loss_of(forward, method.name, _PASSES)
        if last is None:
            return None
        logits = logits_of(forward.outputs, method.name)
        return passes.term() * forward.share - (1 - 1 / method.steps) * last(logits)


def _initial(method: FreeLB, batch: Mapping[str, Any], embeddings: Tensor) -> Tensor:
    """Return delta_0 for ``embeddings``, (sequences, tokens, width)."""
    zeros = torch.zeros_like(embeddings, dtype=precise(embeddings))
    if method.init == 0:
        return zeros
    real = real_tokens(batch, embeddings, method.name)[:, :, None].to(zeros.dtype)
    entries = real.sum(1, keepdim=True).clamp_min(1) * embeddings.shape[-1]
    return zeros.uniform_(-1, 1) * real * (method.init / entries.sqrt())
