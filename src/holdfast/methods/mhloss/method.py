"""MHLoss: several heads trained at once, averaged into one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Forward
from holdfast.methods.mhloss.multi_head import fold, multiply
from holdfast.methods.parts.model.heads import head_linears
from holdfast.methods.parts.model.initialisation import fresh_linears
from holdfast.methods.parts.outputs import task_loss_of
from holdfast.methods.parts.rng import own_generator
from holdfast.methods.requires import Footprint, Part, Requires


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
        >>> facts = engine.finish()  # the heads are one again
    """

    name: ClassVar[str] = "mhloss"
    summary: ClassVar[str] = "several heads trained at once and averaged into one"

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
    def requires(self) -> Requires:
        """The head, and what its last layer is fed."""
        return Requires(replaces={Part.HEAD}, outputs=True, features=True)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights of the layer that is multiplied; the state is the further heads.

        Raises ``HoldfastError`` when the model's head does not end in a plain linear layer that is trained.
        """
        if hasattr(model, "peft_config"):
            raise HoldfastError(
                f"mhloss trains several heads, and checkpoints of {type(model).__name__} hold one: give attach the "
                "plain model, with lora beside mhloss"
            )
        name, layer = head_linears(model, self.name)[-1]
        if not layer.weight.requires_grad:
            raise HoldfastError(f"mhloss trains several heads, and {name} of {type(model).__name__} is frozen")
        weights = {f"{name}.{key}": parameter for key, parameter in layer.named_parameters()}
        size = sum(parameter.numel() * parameter.element_size() for parameter in weights.values())
        return Footprint(weights, f"trained as {self.heads} heads and averaged", (self.heads - 1) * size)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["MHLoss"]:
        """Multiply the head's last layer in place; a single head is plain fine-tuning."""
        return MHLossSession(self, model, plan) if self.heads > 1 else MethodSession(self, model, plan)


class MHLossSession(MethodSession[MHLoss]):
    """The layer that stands for several heads."""

    def __init__(self, method: MHLoss, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.layer_name, layer = head_linears(model, method.name)[-1]
        generator = own_generator(method.name, plan.seed)
        self.layer = multiply(layer, fresh_linears(model, self.layer_name, method.heads - 1, generator))

    def loss(self, forward: Forward) -> Tensor | None:
        """The heads' loss less that of the averaged logits, which the model computed."""
        assert forward.features is not None
        logits: Tensor = forward.outputs["logits"]
        task_loss = task_loss_of(forward, self.method.name, "for every head")
        if task_loss is None:
            return None
        loss = task_loss(self.layer.each(forward.features).reshape(-1, *logits.shape[1:]))
        return (self.method.heads * loss if self.method.reduction == "sum" else loss) - task_loss(logits)

    def state_dict(self) -> dict[str, Tensor]:
        """Return all heads, whose average is all that a plain checkpoint holds."""
        return {key: value.detach().clone() for key, value in self.layer.named_parameters()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the heads."""
        for key, value in self.layer.named_parameters():
            value.copy_(state[key])

    @torch.no_grad()
    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with the average in the place of the heads."""
        name = self.layer_name
        weight, bias = self.layer.folded()
        plain = {key: value for key, value in state.items() if not key.startswith(f"{name}.further.")}
        return plain | {f"{name}.weight": weight} | ({} if bias is None else {f"{name}.bias": bias})

    def finish(self) -> Mapping[str, float]:
        """Leave a plain layer that computes the average."""
        fold(self.layer)
        return {}
