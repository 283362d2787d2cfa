"""WiSE-FT: ends between the pre-trained and the tuned weights."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection
from holdfast.methods.parts.model.pretrained import UPDATE, body_parameters, refuse_adapters
from holdfast.methods.parts.weight_swap import FINAL, put, swapped

GRID = tuple(step / 10 for step in range(11))
"""Coefficients that validation chooses from."""


@dataclass(frozen=True)
class WiSEFT(Method):
    """End with (1 - alpha) * pre-trained + alpha * tuned weights of the body (Wortsman et al. 2022).

    Without ``alpha`` it is chosen after the last step from 0, 0.1, ..., 1 by the validation score. Of equal scores
    the one nearest 0.5 counts, and of two as near the larger; that rule and the grid are our choice. Training itself
    is untouched.

    Differs from the published code, whose head is a zero-shot classifier made of text: there the head has
    pre-trained values and is interpolated too. A new head has none, only random ones, and stays as it was tuned.

    Example:
        >>> trainer = attach(Trainer(model, args, train_dataset=data, eval_dataset=held_out), WiSEFT())
        >>> output = trainer.train()  # the share is chosen on held_out
    """

    name: ClassVar[str] = "wise_ft"
    summary: ClassVar[str] = "ends between the pre-trained and the tuned weights"

    alpha: float | None = None
    """Share of the tuned weights, 0 to 1; none has it chosen on validation rows."""

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise HoldfastError(f"wise_ft(alpha={self.alpha!r}): alpha is the share of the tuned weights, 0 to 1")

    @property
    def replaces(self) -> frozenset[str]:
        """The weights that the training ends with, and how the pre-trained ones move towards them."""
        return frozenset({FINAL, UPDATE})

    @property
    def needs_validation(self) -> bool:
        """Whether alpha is to be chosen."""
        return self.alpha is None

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` where no pre-trained weight is trained."""
        self._body(model)

    def selection(self, model: nn.Module) -> Selection:
        """Return the pre-trained weights that are trained, which are kept a second time."""
        body = self._body(model)
        state = sum(p.numel() * p.element_size() for p in body.values())
        return Selection(body, "interpolated with their pre-trained values at the end", state)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Take the values with which the tuning begins into the host's memory."""
        self.memory.clear()
        body = self._body(model)
        self.memory["start"] = {name: p.detach().to("cpu", copy=True) for name, p in body.items()}

    def shown(self, model: nn.Module) -> AbstractContextManager[None]:
        """Put the interpolation in the place of the weights, where ``alpha`` is given."""
        if self.alpha is None or "start" not in self.memory:
            return nullcontext()
        return swapped(dict(model.named_parameters()), self._between(model, self.alpha))

    def choose(self, model: nn.Module, score: Callable[[], float]) -> None:
        """Score each coefficient of the grid and keep the best."""
        if self.alpha is not None:
            return
        parameters = dict(model.named_parameters())
        scores = {}
        for alpha in GRID:
            with swapped(parameters, self._between(model, alpha)):
                scores[alpha] = score()
        self.memory["scores"] = scores
        self.memory["chosen"] = best_alpha(scores)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the pre-trained weights, and the tuned ones where a plain checkpoint holds their interpolation."""
        start = self._start()
        state = {f"start/{name}": value.clone() for name, value in start.items()}
        if self.alpha is not None:
            parameters = dict(model.named_parameters())
            state |= {f"tuned/{name}": parameters[name].detach().clone() for name in start}
        return state

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore both."""
        found: dict[str, dict[str, Tensor]] = {"start": {}, "tuned": {}}
        for key, value in state.items():
            kind, _, name = key.partition("/")
            found[kind][name] = value
        self.memory["start"] = {name: value.to("cpu", copy=True) for name, value in found["start"].items()}
        put(dict(model.named_parameters()), found["tuned"])

    def finish(self, model: nn.Module) -> None:
        """Leave the interpolation; the tuned weights where training was broken off before a coefficient was chosen."""
        alpha = self.memory.get("chosen", self.alpha)
        if alpha is not None:
            put(dict(model.named_parameters()), self._between(model, alpha))
        self.memory.pop("start", None)

    def facts(self) -> Mapping[str, float]:
        """Return the chosen coefficient and the score of each."""
        if "chosen" not in self.memory:
            return {}
        scores: dict[float, float] = self.memory["scores"]
        return {"alpha": self.memory["chosen"], **{f"score_{alpha:g}": value for alpha, value in scores.items()}}

    def _body(self, model: nn.Module) -> dict[str, nn.Parameter]:
        refuse_adapters(model, self.name)
        body = {name: p for name, p in body_parameters(model, self.name).items() if p.requires_grad}
        if not body:
            raise HoldfastError(
                f"wise_ft interpolates the pre-trained weights with the tuned ones, and {type(model).__name__} trains "
                "none below its head: unfreeze some, or leave wise_ft out"
            )
        return body

    def _start(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.memory.get("start", {})
        return found

    @torch.no_grad()
    def _between(self, model: nn.Module, alpha: float) -> dict[str, Tensor]:
        parameters = dict(model.named_parameters())
        return {name: interpolate(value, parameters[name].detach(), alpha) for name, value in self._start().items()}


def interpolate(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Return (1 - share) * start + share * end, exact at both ends, in the type and on the device of ``end``."""
    precise = torch.promote_types(end.dtype, torch.float32)
    return torch.lerp(start.to(end.device, precise), end.to(precise), share).to(end.dtype)


def best_alpha(scores: Mapping[float, float]) -> float:
    """Return the coefficient of the highest score; of equal ones the nearest to 0.5, and then the larger."""

    def order(alpha: float) -> tuple[float, float, float]:
        # Rounded, as 0.6 - 0.5 and 0.5 - 0.4 differ in the last digit.
        score = -math.inf if math.isnan(scores[alpha]) else scores[alpha]
        return score, -round(abs(alpha - 0.5), 9), alpha

    return max(scores, key=order)
