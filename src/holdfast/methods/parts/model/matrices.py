"""The weight matrices of a model, found by the kind of their module and not by their names."""

from dataclasses import dataclass
from typing import cast

from torch import nn

from holdfast.errors import HoldfastError


@dataclass(frozen=True)
class Matrix:
    """The weight of a linear layer, shape (out, in), or (in, out) where ``input_dim`` is 0."""

    name: str
    """Parameter name, as in ``named_parameters``."""
    modules: tuple[nn.Module, ...]
    """The layers that use it: one, unless they share it."""
    input_dim: int
    """The dimension that the inputs are summed over: 1 in ``nn.Linear``, 0 in Transformers' ``Conv1D`` (GPT-2)."""

    @property
    def weight(self) -> nn.Parameter:
        """The parameter itself."""
        return cast(nn.Parameter, self.modules[0].weight)


def matrices(model: nn.Module, method: str) -> list[Matrix]:
    """Return the trained weight matrices of all linear layers, head and adapters included, in order of definition.

    Not among them: biases, normalisation, embeddings, weights tied to an embedding, and what is not trained.
    A weight that several layers share is listed once. Raises ``HoldfastError``, naming ``method``, where there
    is none.
    """
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    users: dict[int, list[nn.Module]] = {}
    for module in model.modules():
        if is_linear(module) and module.weight.requires_grad and id(module.weight) not in embedded:
            users.setdefault(id(module.weight), []).append(module)
    found = [
        Matrix(name, tuple(users[id(parameter)]), 1 if isinstance(users[id(parameter)][0], nn.Linear) else 0)
        for name, parameter in model.named_parameters()
        if id(parameter) in users
    ]
    if not found:
        raise HoldfastError(
            f"{method} works on the weight matrices of linear layers, and {type(model).__name__} trains none: "
            "give it a model with trainable nn.Linear layers"
        )
    return found


def is_linear(module: nn.Module) -> bool:
    """Return whether ``module`` multiplies by a matrix ``weight``: ``nn.Linear`` or Transformers' ``Conv1D``."""
    # By the name of its class, since this room imports no Transformers.
    return isinstance(module, nn.Linear) or any(kind.__name__ == "Conv1D" for kind in type(module).__mro__)
