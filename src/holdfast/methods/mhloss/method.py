"""MHLoss: several heads trained at once, averaged into one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Forward, Method, Plan, Selection
from holdfast.methods.mhloss.multi_head import MultiHeadLinear, fold, multiply
from holdfast.methods.parts.model.heads import head_linears
from holdfast.methods.parts.model.initialisation import fresh_linears
from holdfast.methods.parts.outputs import task_loss_of
from holdfast.methods.parts.rng import own_generator


@dataclass(frozen=True)
class MHLoss(Method):
    """Multi-head loss (Fu, So & Collier 2023): L = 1/H sum_h loss(w_h^T x, y), with one encoder below H linear heads.

    Only the head's last linear layer is multiplied. The first head is the model's own, the others are drawn
    independently by the model's initialisation. Everywhere else, in outputs, metrics and evaluation, the model
    computes the average of the heads, which is one linear layer again, and that is what is saved.

    The task's logged loss is that of the averaged logits; what this method adds is the difference to the
    heads' loss, so that the sum is L. With ``reduction="mean"`` it is never negative, as all losses known are convex.

    The paper has no published code. That several linear heads are trained at once is confirmed by a summary of it;
    the formula is not confirmed against its text; how heads start and which layer is multiplied are our choices.

    Example:
        >>> engine = Engine(model, [MHLoss(heads=5)], optimizer=make_optimizer)
        >>> engine.backward(engine.loss(batch))
        >>> engine.finish()  # the heads are one again
    """

    name: ClassVar[str] = "mhloss"
    summary: ClassVar[str] = "several heads trained at once and averaged into one"
    needs_features: ClassVar[bool] = True

    heads: int = 10
    """H. Our choice; the paper's is not known here."""
    reduction: Literal["mean", "sum"] = "mean"
    """Of the heads' losses. "mean" divides each head's gradient by H, which matters with SGD and not with Adam;
    "sum" does not, and multiplies the encoder's by H."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise HoldfastError(f"mhloss(heads={self.heads}): there must be at least 1 head")
        if self.reduction not in ("mean", "sum"):
            raise HoldfastError(f"mhloss(reduction={self.reduction!r}): reduction is mean or sum")

    @property
    def replaces(self) -> frozenset[str]:
        """The head."""
        return frozenset({"head"})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model's head does not end in a plain linear layer that is trained."""
        if hasattr(model, "peft_config"):
            raise HoldfastError(
                f"mhloss trains several heads, and checkpoints of {type(model).__name__} hold one: give attach the "
                "plain model, with lora beside mhloss"
            )
        name, layer = head_linears(model, self.name)[-1]
        if not layer.weight.requires_grad:
            raise HoldfastError(f"mhloss trains several heads, and {name} of {type(model).__name__} is frozen")

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights of the layer that is multiplied; the state is the further heads."""
        name, layer = head_linears(model, self.name)[-1]
        weights = {f"{name}.{key}": parameter for key, parameter in layer.named_parameters()}
        size = sum(parameter.numel() * parameter.element_size() for parameter in weights.values())
        return Selection(weights, f"trained as {self.heads} heads and averaged", (self.heads - 1) * size)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Multiply the head's last layer in place."""
        name, layer = head_linears(model, self.name)[-1]
        self.memory["name"] = name
        if self.heads > 1:
            multiply(layer, fresh_linears(model, name, self.heads - 1, own_generator(self.name, plan.seed)))

    def penalty(self, forward: Forward) -> Tensor | None:
        """The heads' loss less that of the averaged logits, which the model computed."""
        assert forward.step is not None
        assert forward.features is not None
        layer = self._layer(forward.step.model)
        if layer is None:
            return None
        logits: Tensor = forward.outputs["logits"]
        task_loss = task_loss_of(forward, self.name, "for every head")
        if task_loss is None:
            return None
        loss = task_loss(layer.each(forward.features).reshape(-1, *logits.shape[1:]))
        return (self.heads * loss if self.reduction == "sum" else loss) - task_loss(logits)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return all heads, whose average is all that a plain checkpoint holds."""
        layer = self._layer(model)
        return {} if layer is None else {key: value.detach().clone() for key, value in layer.named_parameters()}

    @torch.no_grad()
    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the heads."""
        layer = self._layer(model)
        for key, value in layer.named_parameters() if layer is not None else ():
            value.copy_(state[key])

    @torch.no_grad()
    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with the average in the place of the heads."""
        layer = self._layer(model)
        if layer is None:
            return state
        name = self.memory["name"]
        weight, bias = layer.folded()
        plain = {key: value for key, value in state.items() if not key.startswith(f"{name}.further.")}
        return plain | {f"{name}.weight": weight} | ({} if bias is None else {f"{name}.bias": bias})

    def finish(self, model: nn.Module) -> None:
        """Leave a plain layer that computes the average."""
        layer = self._layer(model)
        if layer is not None:
            fold(layer)

    def _layer(self, model: nn.Module) -> MultiHeadLinear | None:
        # None for a single head, and once finished.
        found = model.get_submodule(self.memory["name"])
        return found if isinstance(found, MultiHeadLinear) else None
