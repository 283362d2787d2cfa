"""DPS: stages in which the gradients are watched, and stages in which the important weights alone are trained."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, Step
from holdfast.methods.dps.stages import Stages, stages_of
from holdfast.methods.parts.column_mixing import ColumnMixer
from holdfast.methods.parts.mixing import check_mixable
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout
from holdfast.methods.parts.model.freezing import BODY
from holdfast.methods.parts.model.matrices import GRADIENTS, Matrix, matrices
from holdfast.methods.parts.top_k import top_k_masks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DPS(Method):
    """Dynamic Parameter Selection (Zhang et al. 2022), for the weight matrices of all linear layers.

    Training alternates between two stages of ``update_ratio`` of its optimizer steps. In stage I squared
    gradients are summed, entry by entry. In stage II the gradients of the ``drop`` smallest sums of each matrix
    are set to zero. ``variant="dense"`` trains everything in stage I. ``"mix"`` puts random input columns back
    to their pre-trained values there (Mixout), each draw for one step, divides each sum by the number of steps
    in which the entry was trained, and computes stage II with the frozen entries as they were at its start and
    the change of the others divided by 1 - drop. Biases, normalisation and embeddings are trained all the time.

    Differs from the published code, which counts micro-batches, breaks under accumulation, loss scaling,
    activation checkpointing and resumption, keeps 12 to 28 bytes a weight, and calls the dropped share
    ``reserve_p``.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), DPS(variant="mix", drop=0.2)).train()
        >>> holdfast.methods.describe([DPS(variant="mix", drop=0.2)])  # as commands spell it
        'dps(variant=mix, drop=0.2)'
    """

    name: ClassVar[str] = "dps"
    summary: ClassVar[str] = "trains the weights with the largest gradients, chosen anew in stages"

    variant: Literal["dense", "mix"] = "dense"
    """Whether stage I is plain training, or Mixout."""
    drop: float = 0.3
    """Share of each matrix frozen in stage II, and of the columns put back in stage I of "mix"."""
    update_ratio: float = 0.05
    """Length of a stage as a share of all optimizer steps."""
    freeze: Literal["gradient", "hard"] = "gradient"
    """Frozen weights get no gradient, but drift with the optimizer's momentum and decay, as published; or they do
    not move at all."""
    scores: Literal["accumulated", "adam"] = "accumulated"
    """Squared gradients summed over stage I, as published; or Adam's second moments, which cost no memory."""
    scope: Literal["tensor", "global"] = "tensor"
    """Whether entries are ranked within their matrix, as published, or among those of all matrices."""
    dropout: float | None = 0.0
    """Dropout probability in training: 0 as published; none leaves the model's own."""

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise HoldfastError(f"dps(drop={self.drop}): drop is a share of the weights, at least 0 and below 1")
        if not 0 < self.update_ratio <= 0.5:
            raise HoldfastError(
                f"dps(update_ratio={self.update_ratio}): a stage's share of the steps must be above 0 and at most 0.5"
            )
        check_dropout(self.name, self.dropout)

    @property
    def model_dropout(self) -> float | None:
        """The rate while it trains."""
        return self.dropout

    @property
    def replaces(self) -> frozenset[str]:
        """For "mix", the weights that all layers compute with, those of the head too."""
        return frozenset({"head", "weights of the forward pass"} if self.variant == "mix" else ())

    @property
    def uses(self) -> frozenset[str]:
        """The body's weights, and the gradients of whole matrices."""
        return frozenset({BODY, GRADIENTS})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model trains no linear layer, or "mix" cannot reach one."""
        chosen = matrices(model, self.name)
        if self.variant == "mix":
            check_mixable(chosen, self.name)

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when the training is too short for two stages."""
        if plan.total_steps is not None:
            stages_of(plan.total_steps, self.update_ratio)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weight matrices in which DPS selects."""
        chosen = {matrix.name: matrix.weight for matrix in matrices(model, self.name)}
        state = sum(weight.numel() * self._bytes(weight) for weight in chosen.values())
        where = "each matrix" if self.scope == "tensor" else "all matrices together"
        return Selection(chosen, f"{self.drop:.0%} of {where} frozen in every second stage", state)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Set dropout; for "mix", keep the pre-trained weights and let the layers compute with mixtures."""
        self.memory["matrices"] = matrices(model, self.name)
        self.memory.update({key: {} for key in _BY_NAME})
        self.memory.pop("stages", None)
        if self.dropout is not None:
            self.memory["dropout"] = set_dropout(model, self.dropout)
        if self.variant == "mix":
            self.memory["mixer"] = ColumnMixer(self._matrices, self.drop, self.name, plan.seed)

    @torch.no_grad()
    def on_gradients(self, step: Step) -> None:
        """In stage I sum squared gradients; in stage II take away those of frozen entries."""
        stages = self._stages(step)
        found = [(matrix, matrix.weight.grad) for matrix in self._matrices if matrix.weight.grad is not None]
        if stages.selecting(step.index):
            for matrix, gradient in found:
                if matrix.name in self._kept:
                    # As bytes: several times faster than with booleans.
                    gradient.mul_(self._kept[matrix.name].view(torch.uint8))
            return
        if self._mixer is not None:
            for matrix, gradient in found:
                gradient.mul_(self._mixer.columns(matrix.name).view(torch.uint8))
        if self.scores == "accumulated":
            _add_squares(self.memory["scores"], found)

    @torch.no_grad()
    def on_update(self, step: Step) -> None:
        """Put hard-frozen weights back, and change stages where the next step is in another."""
        stages, coming = self._stages(step), step.index + 1
        if self.scores == "adam" and step.index == 0:
            # Refused now, rather than at the end of a stage.
            _second_moments(step.optimizer, self._matrices)
        if self.freeze == "hard":
            self._put_back()
        if self._mixer is not None and not stages.selecting(step.index):
            counts = self.memory["counts"]
            for matrix in self._matrices:
                counts[matrix.name] = counts.get(matrix.name, 0) + self._mixer.columns(matrix.name).int()
        if stages.begins(coming):
            for key in ("kept", "held"):
                self.memory[key].clear()
            if stages.selecting(coming):
                self._select(step, stages)
        if self._mixer is not None and not stages.selecting(coming):
            self._mixer.draw()

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return sums, masks, held and pre-trained weights, the state of the draws and the length of a stage."""
        state = {f"{key}.{name}": value for key in _BY_NAME for name, value in self.memory[key].items()}
        if self._mixer is not None:
            state |= self._mixer.state_dict(drawn=not self._kept)
        if "stages" in self.memory:
            state["length"] = torch.tensor([self.memory["stages"].length])
        return {key: value.detach().clone() for key, value in state.items()}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned."""
        device = {matrix.name: matrix.weight.device for matrix in self._matrices}
        self.memory.pop("stages", None)
        if "length" in state:
            self.memory["stages"] = Stages(int(state["length"]))
        for key in _BY_NAME:
            found = {name.removeprefix(f"{key}."): value for name, value in state.items() if name.startswith(f"{key}.")}
            self.memory[key] = {name: value.to(device[name]) for name, value in found.items()}
        if self._mixer is not None:
            self._mixer.load_state_dict(state)
            self._show_held()

    def finish(self, model: nn.Module) -> None:
        """Leave plain layers with the dropout they had."""
        if self._mixer is not None:
            self.memory.pop("mixer").release()
        if "dropout" in self.memory:
            restore_dropout(self.memory.pop("dropout"))
        for key in _BY_NAME:
            self.memory[key].clear()

    @property
    def _matrices(self) -> list[Matrix]:
        found: list[Matrix] = self.memory["matrices"]
        return found

    @property
    def _mixer(self) -> ColumnMixer | None:
        return self.memory.get("mixer")

    @property
    def _kept(self) -> dict[str, Tensor]:
        """Masks of stage II by parameter name, true where an entry is trained."""
        found: dict[str, Tensor] = self.memory["kept"]
        return found

    def _bytes(self, weight: Tensor) -> int:
        """Bytes of state for each entry of ``weight``, in the stage that needs most."""
        mixing, size = self.variant == "mix", weight.element_size()
        first = max(4, size) if self.scores == "accumulated" else 0
        second = 1 + (size if mixing or self.freeze == "hard" else 0)
        return max(first, second) + (size if mixing else 0)

    def _stages(self, step: Step) -> Stages:
        # Settled at the first step, so that a training resumed with another length goes on with the same stages.
        if "stages" not in self.memory:
            self.memory["stages"] = stages_of(step.total, self.update_ratio)
            if (step.total or 0) * self.update_ratio < 1:
                logger.warning("dps: %g of %s steps is less than one: stages are 1 step", self.update_ratio, step.total)
        found: Stages = self.memory["stages"]
        return found

    def _select(self, step: Step, stages: Stages) -> None:
        """Choose what stage II trains, and note the weights it starts from."""
        scores = self._take_scores(step, stages)
        names = [[name] for name in scores] if self.scope == "tensor" else [list(scores)]
        weights = {matrix.name: matrix.weight.detach() for matrix in self._matrices}
        for group in names:
            size = sum(scores[name].numel() for name in group)
            masks = top_k_masks([scores[name] for name in group], math.ceil(size * (1 - self.drop)))
            self._kept.update(zip(group, masks, strict=True))
            for name in group:
                # From here on the scores are not needed, and their memory may be.
                free, weight = scores.pop(name), weights[name]
                if self.freeze == "hard" or self._mixer is not None:
                    reuse = self.scores == "accumulated" and free.dtype == weight.dtype
                    self.memory["held"][name] = free.copy_(weight) if reuse else weight.clone()
        self._show_held()

    def _take_scores(self, step: Step, stages: Stages) -> dict[str, Tensor]:
        if self.scores == "accumulated":
            scores: dict[str, Tensor] = self.memory["scores"]
            self.memory["scores"] = {}
        else:
            scores = _second_moments(step.optimizer, self._matrices)
        counts, self.memory["counts"] = self.memory["counts"], {}
        for name, count in counts.items():
            if name not in scores:
                continue
            trained = count.clamp(min=1).to(scores[name].dtype)
            weight = 1 / trained
            if stages.length >= _PENALISED_FROM:
                weight *= torch.exp(-trained / stages.length)
            scores[name] = scores[name] * weight if self.scores == "adam" else scores[name].mul_(weight)
        return scores

    def _show_held(self) -> None:
        """Let the layers of "mix" compute stage II from the held weights."""
        if self._mixer is None:
            return
        for name, held in self.memory["held"].items():
            mixture = self._mixer.mixtures[name]
            # Hard-frozen entries equal the held ones: no mask is needed to show those.
            mixture.base, mixture.kept = held, None if self.freeze == "hard" else self._kept[name]

    def _put_back(self) -> None:
        for matrix in self._matrices:
            if matrix.name in self._kept:
                kept = self._kept[matrix.name]
                frozen = self.memory["held"][matrix.name].mul(kept.logical_not().view(torch.uint8))
                matrix.weight.mul_(kept.view(torch.uint8)).add_(frozen)


_BY_NAME = ("scores", "kept", "held", "counts")
"""What ``memory`` keeps by parameter name."""

_PENALISED_FROM = 50
"""Stage length from which the published Mix weighs scores by how often an entry was trained."""


def _add_squares(sums: dict[str, Tensor], found: Sequence[tuple[Matrix, Tensor]]) -> None:
    later = [(sums[matrix.name], gradient) for matrix, gradient in found if matrix.name in sums]
    for matrix, gradient in found:
        if matrix.name not in sums:
            sums[matrix.name] = gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square()
    if later:
        into, gradients = (list(column) for column in zip(*later, strict=True))
        torch._foreach_addcmul_(into, gradients, gradients)


def _second_moments(optimizer: Any, chosen: Sequence[Matrix]) -> dict[str, Tensor]:
    found = {m.name: optimizer.state[m.weight] for m in chosen if m.weight in optimizer.state}
    if not all("exp_avg_sq" in state for state in found.values()) or not found:
        kind = type(getattr(optimizer, "optimizer", optimizer))  # in the Trainer, Accelerate's wrapper holds it
        raise HoldfastError(
            f"dps(scores=adam) reads Adam's second moments, and {kind.__name__} keeps none: use scores=accumulated"
        )
    return {name: state["exp_avg_sq"] for name, state in found.items()}
