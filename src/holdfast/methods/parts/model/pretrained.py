"""The pre-trained weights that methods hold on to: which they are, and the values they had."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of


def body_parameters(model: nn.Module, method: str) -> dict[str, nn.Parameter]:
    """Return the parameters that came with the checkpoint, by name, frozen ones too.

    Those are the ones below the head, in ``model.base_model``. A classification head counts as new also where the
    checkpoint brought one, as no model says so; the output layer of a model that generates tokens does not.
    Raises ``HoldfastError``, naming ``method``, where the head cannot be told from the body.
    """
    output = getattr(model, "get_output_embeddings", None)
    if callable(output) and output() is not None:
        return dict(model.named_parameters())
    body = body_of(model)
    if body is model:
        raise HoldfastError(
            f"{method} acts on the pre-trained weights, and {type(model).__name__} does not tell them from its head: "
            "give it a property base_model that returns the body"
        )
    inside = {id(parameter) for parameter in body.parameters()}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) in inside}


def has_adapters(model: nn.Module) -> bool:
    """Return whether ``model`` has adapters of PEFT in or around it."""
    # By the home of a module's class, since PEFT need not be installed.
    return hasattr(model, "peft_config") or any(type(m).__module__.startswith("peft.") for m in model.modules())


def refuse_adapters(model: nn.Module, method: str) -> None:
    """Raise ``HoldfastError``, naming ``method``, where adapters are trained in place of the pre-trained weights."""
    if has_adapters(model):
        raise HoldfastError(
            f"{method} acts on the pre-trained weights, and adapters leave those frozen: train without adapters"
        )


class Pretrained:
    """The weights of one model that a method pulls to where they were, and those values.

    ``biases``: whether vectors (biases, normalisation) are among them, beside matrices. A value is taken by
    ``remember`` before the weight first moves, in the weight's own precision. Raises ``HoldfastError``, naming
    ``method``, where no pre-trained weight is trained.
    """

    def __init__(self, model: nn.Module, method: str, biases: bool) -> None:
        refuse_adapters(model, method)
        body = body_parameters(model, method)
        self.parameters = {name: p for name, p in body.items() if biases or p.dim() > 1}
        """Pre-trained weights by name, those frozen at the moment too."""
        self.new = {name: p for name, p in model.named_parameters() if name not in body and (biases or p.dim() > 1)}
        """The head's."""
        self.values: dict[str, Tensor] = {}
        if not self.trained():
            raise HoldfastError(
                f"{method} holds weights near their pre-trained values, and {type(model).__name__} trains none "
                "below its head: unfreeze some, or leave the method out"
            )

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the pre-trained weights that are trained."""
        return {name: parameter for name, parameter in self.parameters.items() if parameter.requires_grad}

    @property
    def state_bytes(self) -> int:
        """Bytes of the values, taken or not yet."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self.trained().values())

    def remember(self) -> None:
        """Take the values of the weights that are trained and were not before. Call it before each update."""
        for name, parameter in self.parameters.items():
            if parameter.requires_grad and name not in self.values:
                self.values[name] = parameter.detach().clone()

    def value(self, name: str) -> Tensor:
        """Return the pre-trained value of a weight, on its device."""
        device = self.parameters[name].device
        if self.values[name].device != device:
            # Loaded, or the model was moved.
            self.values[name] = self.values[name].to(device)
        return self.values[name]

    def moving(self) -> dict[str, nn.Parameter]:
        """Return the remembered weights that have a gradient: those the optimizer moves at this step."""
        return {name: self.parameters[name] for name in self.values if self.parameters[name].grad is not None}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the values by name."""
        # Also before the first step: an empty state would pass for that of a checkpoint without one.
        self.remember()
        return dict(self.values)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the values from ``state``, so that half-trained weights do not pass for pre-trained ones."""
        self.values = dict(state)


@torch.no_grad()
def add_differences(to: Sequence[Tensor], left: Sequence[Tensor], right: Sequence[Tensor], factor: float) -> None:
    """Add ``factor`` * (left - right) to each tensor of ``to`` in place, with little memory for the differences."""
    buffers: dict[tuple[torch.device, torch.dtype], Tensor] = {}
    for tensors in zip(to, left, right, strict=True):
        for target, minuend, subtrahend in zip(*map(_pieces, tensors), strict=True):
            key = target.device, target.dtype
            if key not in buffers or len(buffers[key]) < target.numel():
                buffers[key] = torch.empty(target.numel(), device=target.device, dtype=target.dtype)
            room = buffers[key][: target.numel()].view(target.shape)
            target.add_(torch.sub(minuend, subtrahend, out=room), alpha=factor)


def _pieces(tensor: Tensor) -> Sequence[Tensor]:
    # 1 MiB stays in a processor's cache; a GPU wants few large launches.
    most = 1 << (18 if tensor.device.type == "cpu" else 24)
    if tensor.numel() <= most:
        return (tensor,)
    return torch.split(tensor, max(1, most * len(tensor) // tensor.numel()))
