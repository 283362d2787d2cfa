"""SIFT: train the few entries of each matrix whose first gradient is largest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, Step
from holdfast.methods.parts.model.freezing import CHOICE, new_head, restore_flags, train_only
from holdfast.methods.parts.model.matrices import GRADIENTS, Matrix, matrices
from holdfast.methods.parts.model.pretrained import UPDATE, body_parameters, refuse_adapters
from holdfast.methods.sift.increments import Increment

_IGNORED = "_ddp_params_and_buffers_to_ignore"
"""Where DistributedDataParallel looks for names of parameters that are none of its business."""


@dataclass(frozen=True)
class SIFT(Method):
    """Sparse increment fine-tuning (Song et al. 2024, and its published code).

    Of each chosen weight, int(rate * n) + 1 of n entries are trained: those with the largest absolute gradient
    at the first optimizer step. The optimizer works on a vector of those entries, added to the weight after each
    step, so its state is as sparse, and dense gradients are dropped tensor by tensor in the backward pass. The
    head is trained whole, everything else is frozen.

    Differs from the published code: a step takes effect at once and the last one is saved (there each waits for
    the next backward pass); the tensor whose gradient comes last is trained too; the first batch trains and
    does not only select; layers are found by kind; runs can be resumed and distributed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), SIFT(rate=0.01)).train()
        >>> holdfast.methods.describe([SIFT(rate=0.01)])  # as commands spell it
        'sift(rate=0.01)'
    """

    name: ClassVar[str] = "sift"
    summary: ClassVar[str] = "trains the entries whose first gradient is largest"
    freezes: ClassVar[bool] = True

    rate: float = 0.008
    """Share of each weight's entries; that of the published GLUE scripts (Llama: 0.05)."""
    modules: Literal["attention", "linear"] = "attention"
    """Linear layers inside attention modules, as in the GLUE scripts, or all of the body, as for Llama."""
    decay: bool = False
    """Let weight decay shrink the trained entries; published, it acts on their last step and does nothing."""
    lr_factor: float = 3.5
    """What a study multiplies its learning rate by: the GLUE scripts' 7e-5 over a customary 2e-5."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise HoldfastError(f"sift(rate={self.rate!r}): rate is a share of the entries, above 0 and at most 1")
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"sift(lr_factor={self.lr_factor!r}): lr_factor must be a number above 0")

    @property
    def replaces(self) -> frozenset[str]:
        """Which weights are trained, and how the pre-trained ones move."""
        return frozenset({CHOICE, UPDATE, GRADIENTS})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` for adapters, and where there is nothing to choose from."""
        refuse_adapters(model, self.name)
        for name, parameter in self._chosen(model).items():
            if not parameter.is_contiguous():
                raise HoldfastError(
                    f"sift numbers the entries of {name}, which is not contiguous in memory: make it so"
                )

    def study_rate(self, base: float) -> float:
        """Return ``base`` times ``lr_factor``."""
        return base * self.lr_factor

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights that are trained in part; places and increments are kept for those parts."""
        chosen = self._chosen(model)
        state = sum(self._count(p) * (p.element_size() + (4 if p.numel() < 2**31 else 8)) for p in chosen.values())
        return Selection(chosen, f"{self.rate:.2g} of the entries of each trained, the rest of the body frozen", state)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Freeze what is not chosen and register the vectors that the optimizer trains."""
        chosen = self._chosen(model)
        self.memory["flags"] = train_only(model, [*chosen.values(), *new_head(model, self.name).values()])
        # DDP averages gradients after the hooks of its weights ran.
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        increments = {}
        for name, parameter in chosen.items():
            owner, _, attribute = name.rpartition(".")
            module = model.get_submodule(owner)
            increments[name] = Increment(module, attribute, self._count(parameter), self.decay, alone)
        self.memory["increments"] = increments
        before: Any = getattr(model, _IGNORED, None)
        self.memory["ignored"] = before
        # They get their gradient past autograd, and DDP would wait for it.
        setattr(model, _IGNORED, [*(before or ()), *self._own_names()])

    def on_gradients(self, step: Step) -> None:
        """Choose the entries at the first step; hand gradients that are still dense to the vectors."""
        for increment in self._increments.values():
            increment.gather()

    def on_update(self, step: Step) -> None:
        """Add the vectors to the weights."""
        for increment in self._increments.values():
            increment.merge()

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the chosen places of each weight, and how many weights have some."""
        places = {name: part.chosen for name, part in self._increments.items() if part.chosen is not None}
        return {**places, "chosen": torch.tensor(len(places))}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the places; the weights hold the increments already."""
        for name, increment in self._increments.items():
            if name in state:
                increment.choose(state[name])

    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Leave out the vectors, which the weights contain."""
        own = set(self._own_names())
        return {name: value for name, value in state.items() if name not in own}

    def finish(self, model: nn.Module) -> None:
        """Remove the vectors and unfreeze what was frozen here."""
        for increment in self._increments.values():
            increment.remove()
        self.memory["increments"] = {}
        restore_flags(self.memory["flags"])
        if self.memory["ignored"] is not None:
            setattr(model, _IGNORED, self.memory["ignored"])
        elif hasattr(model, _IGNORED):
            delattr(model, _IGNORED)

    def _count(self, parameter: nn.Parameter) -> int:
        return min(int(self.rate * parameter.numel()) + 1, parameter.numel())

    def _chosen(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Weights and biases of the chosen layers, as the name patterns of the published scripts match both."""
        body = body_parameters(model, self.name)
        inside = _in_attention(model) if self.modules == "attention" else None
        found: dict[str, nn.Parameter] = {}
        for matrix in matrices(model, self.name):
            if matrix.name in body and (inside is None or id(matrix.modules[0]) in inside):
                found[matrix.name] = matrix.weight
                found |= _bias(matrix)
        if not found:
            attention = self.modules == "attention"
            where, remedy = ("attention modules", "use modules=linear, or ") if attention else ("pre-trained body", "")
            raise HoldfastError(
                f"sift(modules={self.modules}) finds no trained linear layer in the {where} of "
                f"{type(model).__name__}: {remedy}unfreeze some"
            )
        return found

    def _own_names(self) -> list[str]:
        return [f"{name}_increment" for name in self._increments]

    @property
    def _increments(self) -> dict[str, Increment]:
        found: dict[str, Increment] = self.memory["increments"]
        return found


def _in_attention(model: nn.Module) -> set[int]:
    """Modules inside one whose class is called an attention, as in all of Transformers."""
    kinds = [module for module in model.modules() if "attention" in type(module).__name__.lower()]
    return {id(inner) for module in kinds if module is not model for inner in module.modules()}


def _bias(matrix: Matrix) -> dict[str, nn.Parameter]:
    bias = getattr(matrix.modules[0], "bias", None)
    if not isinstance(bias, nn.Parameter) or not bias.requires_grad:
        return {}
    return {matrix.name.removesuffix("weight") + "bias": bias}
