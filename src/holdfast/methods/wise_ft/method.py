"""WiSE-FT: ends between the pre-trained and the tuned weights."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.pretrained import body_parameters, refuse_adapters
from holdfast.methods.requires import Footprint, Order, Part, Requires


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
    def requires(self) -> Requires:
        """The weights that the training ends with, and how the pre-trained ones move; validation to choose alpha."""
        return Requires(
            replaces={Part.FINAL_WEIGHTS, Part.UPDATE}, order=Order.FINAL_WEIGHTS, validation=self.alpha is None
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the pre-trained weights that are trained, which are kept a second time.

        Raises ``HoldfastError`` where there are none.
        """
        body = self.body(model)
        state = sum(p.numel() * p.element_size() for p in body.values())
        return Footprint(body, "interpolated with their pre-trained values at the end", state)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["WiSEFT"]:
        """Take the values with which the tuning begins into the host's memory."""
        from holdfast.methods.wise_ft.session import WiSEFTSession

        return WiSEFTSession(self, model, plan)

    def body(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the pre-trained weights of ``model`` that are trained. Raises ``HoldfastError`` without any."""
        refuse_adapters(model, self.name)
        body = {name: p for name, p in body_parameters(model, self.name).items() if p.requires_grad}
        if not body:
            raise HoldfastError(
                f"wise_ft interpolates the pre-trained weights with the tuned ones, and {type(model).__name__} trains "
                "none below its head: unfreeze some, or leave wise_ft out"
            )
        return body
