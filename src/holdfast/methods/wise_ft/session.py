"""One training with WiSE-FT: where it began, the choice of the coefficient, and the weights in between."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.parts.weight_swap import put, swapped
from holdfast.methods.wise_ft.alpha_grid import GRID, best_alpha
from holdfast.methods.wise_ft.interpolation import interpolate
from holdfast.methods.wise_ft.method import WiSEFT


class WiSEFTSession(MethodSession[WiSEFT]):
    """The pre-trained weights, and the coefficient."""

    def __init__(self, method: WiSEFT, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.pretrained = {name: p.detach().to("cpu", copy=True) for name, p in method.body(model).items()}
        self.alpha = method.alpha
        """None until it is chosen."""
        self.scores: dict[float, float] = {}
        """By coefficient, where it was chosen."""

    def final_weights(self) -> AbstractContextManager[None]:
        """Put the interpolation in the place of the weights, where ``alpha`` is given."""
        if self.method.alpha is None:
            return nullcontext()
        return swapped(self._parameters(), self._interpolated(self.method.alpha))

    def select(self, score: Callable[[], float]) -> None:
        """Score each coefficient of the grid and keep the best."""
        if self.method.alpha is not None:
            return
        for alpha in GRID:
            with swapped(self._parameters(), self._interpolated(alpha)):
                self.scores[alpha] = score()
        self.alpha = best_alpha(self.scores)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the pre-trained weights, and the tuned ones where a plain checkpoint holds their interpolation."""
        state = {f"start/{name}": value.clone() for name, value in self.pretrained.items()}
        if self.method.alpha is not None:
            parameters = self._parameters()
            state |= {f"tuned/{name}": parameters[name].detach().clone() for name in self.pretrained}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore both."""
        saved: dict[str, dict[str, Tensor]] = {"start": {}, "tuned": {}}
        for key, value in state.items():
            kind, _, name = key.partition("/")
            saved[kind][name] = value
        self.pretrained = {name: value.to("cpu", copy=True) for name, value in saved["start"].items()}
        put(self._parameters(), saved["tuned"])

    def finish(self) -> Mapping[str, float]:
        """Leave the interpolation; return the coefficient and the score of each, where it was chosen.

        A training broken off before that leaves the tuned weights.
        """
        if self.alpha is None:
            return {}
        put(self._parameters(), self._interpolated(self.alpha))
        if not self.scores:
            return {}
        return {"alpha": self.alpha, **{f"score_{alpha:g}": value for alpha, value in self.scores.items()}}

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())

    @torch.no_grad()
    def _interpolated(self, alpha: float) -> dict[str, Tensor]:
        parameters = self._parameters()
        return {name: interpolate(v, parameters[name].detach(), alpha) for name, v in self.pretrained.items()}
