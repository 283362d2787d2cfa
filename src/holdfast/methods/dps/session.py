"""One training with DPS."""

import logging
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.dps.method import DPS
from holdfast.methods.dps.scores import add_squares, by_frequency, second_moments
from holdfast.methods.dps.stages import Stages, stages_of
from holdfast.methods.forward import Step
from holdfast.methods.parts.column_mixing import ColumnMixer
from holdfast.methods.parts.model.dropout import restore_dropout, set_dropout
from holdfast.methods.parts.model.matrices import matrices
from holdfast.methods.parts.top_k import top_k_masks

logger = logging.getLogger(__name__)


class DPSSession(MethodSession[DPS]):
    """Scores in stage I, masks in stage II, each by parameter name."""

    def __init__(self, method: DPS, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.matrices = matrices(model, method.name)
        self.stages: Stages | None = None
        """Settled at the first step, so that a training resumed with another length goes on with the same ones."""
        self.scores: dict[str, Tensor] = {}
        """Of squared gradients, their sums."""
        self.counts: dict[str, Tensor] = {}
        """In how many steps of stage I each input column was trained, for "mix"."""
        self.masks: dict[str, Tensor] = {}
        """True where an entry is trained in stage II."""
        self.frozen: dict[str, Tensor] = {}
        """The weights at the start of stage II, where frozen entries are put back or computed with."""
        self._own_dropout = set_dropout(model, method.dropout)
        self.mixer: ColumnMixer | None = None
        if method.variant == "mix":
            self.mixer = ColumnMixer(self.matrices, method.drop, method.name, plan.seed)

    @torch.no_grad()
    def on_gradients(self, step: Step) -> None:
        """In stage I sum squared gradients; in stage II take away those of frozen entries."""
        selecting = self._stages(step).selecting(step.index)
        gradients = [(m.name, m.weight.grad) for m in self.matrices if m.weight.grad is not None]
        for name, gradient in gradients:
            mask = self.masks.get(name) if selecting or self.mixer is None else self.mixer.columns(name)
            if mask is not None:
                # As bytes: several times faster than with booleans.
                gradient.mul_(mask.view(torch.uint8))
        if self.method.scores == "accumulated" and not selecting:
            add_squares(self.scores, gradients)

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Put hard-frozen weights back, and change stages where the next step is in another."""
        stages, coming = self._stages(step), step.index + 1
        if self.method.scores == "adam" and step.index == 0:
            second_moments(step.optimizer, self.matrices)  # refused now, rather than at the end of a stage
        if self.method.freeze == "hard":
            self._put_back()
        if self.mixer is not None and not stages.selecting(step.index):
            for matrix in self.matrices:
                trained = self.mixer.columns(matrix.name).int()
                self.counts[matrix.name] = self.counts.get(matrix.name, 0) + trained
        if stages.begins(coming):
            self.masks, self.frozen = {}, {}
            if stages.selecting(coming):
                self._select(step, stages)
        if self.mixer is not None and not stages.selecting(coming):
            self.mixer.draw()

    def state_dict(self) -> dict[str, Tensor]:
        """Return sums, masks, frozen and pre-trained weights, the state of the draws and the length of a stage."""
        state = {f"{key}.{name}": value for key, part in self._by_name().items() for name, value in part.items()}
        if self.mixer is not None:
            state |= self.mixer.state_dict(drawn=not self.masks)
        if self.stages is not None:
            state["length"] = torch.tensor([self.stages.length])
        return {key: value.detach().clone() for key, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned."""
        device = {matrix.name: matrix.weight.device for matrix in self.matrices}
        self.stages = Stages(int(state["length"])) if "length" in state else None
        for key, part in self._by_name().items():
            names = [name.removeprefix(f"{key}.") for name in state if name.startswith(f"{key}.")]
            part.clear()
            part.update({name: state[f"{key}.{name}"].to(device[name]) for name in names})
        if self.mixer is not None:
            self.mixer.load_state_dict(state)
            self._compute_from_frozen()

    def finish(self) -> Mapping[str, float]:
        """Leave plain layers with the dropout they had."""
        if self.mixer is not None:
            self.mixer.release()
        restore_dropout(self._own_dropout)
        return {}

    def _by_name(self) -> dict[str, dict[str, Tensor]]:
        return {"scores": self.scores, "kept": self.masks, "held": self.frozen, "counts": self.counts}

    def _stages(self, step: Step) -> Stages:
        if self.stages is None:
            ratio = self.method.update_ratio
            self.stages = stages_of(step.total, ratio)
            if (step.total or 0) * ratio < 1:
                logger.warning("dps: %g of %s steps is less than one: stages are 1 step", ratio, step.total)
        return self.stages

    def _select(self, step: Step, stages: Stages) -> None:
        """Choose what stage II trains, and note the weights it starts from."""
        summed = self.method.scores == "accumulated"
        scores = dict(self.scores) if summed else second_moments(step.optimizer, self.matrices)
        self.scores.clear()
        by_frequency(scores, self.counts, stages.length, in_place=summed)
        self.counts.clear()
        groups = [[name] for name in scores] if self.method.scope == "tensor" else [list(scores)]
        weights = {matrix.name: matrix.weight.detach() for matrix in self.matrices}
        for group in groups:
            size = sum(scores[name].numel() for name in group)
            trained = math.ceil(size * (1 - self.method.drop))
            self.masks.update(zip(group, top_k_masks([scores[name] for name in group], trained), strict=True))
            for name in group:
                # From here on the scores are not needed, and their memory may be.
                free, weight = scores.pop(name), weights[name]
                if self.method.freeze == "hard" or self.mixer is not None:
                    reuse = summed and free.dtype == weight.dtype
                    self.frozen[name] = free.copy_(weight) if reuse else weight.clone()
        self._compute_from_frozen()

    def _compute_from_frozen(self) -> None:
        """Let the layers of "mix" compute stage II from the weights at its start."""
        if self.mixer is None:
            return
        for name, weight in self.frozen.items():
            mixture = self.mixer.mixtures[name]
            # Hard-frozen entries equal these, and need no mask.
            mixture.base, mixture.kept = weight, None if self.method.freeze == "hard" else self.masks[name]

    def _put_back(self) -> None:
        for matrix in self.matrices:
            if matrix.name in self.masks:
                mask = self.masks[matrix.name]
                frozen = self.frozen[matrix.name].mul(mask.logical_not().view(torch.uint8))
                matrix.weight.mul_(mask.view(torch.uint8)).add_(frozen)
