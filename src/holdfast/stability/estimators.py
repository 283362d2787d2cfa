"""What goes into the bounds, estimated on a model and its data; curvature and margin have files of their own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.modes import evaluating
from holdfast.stability.curvature import Loss, labelled_loss, row_count, trainable


@dataclass(frozen=True)
class GradientNorms:
    """How fast the loss of single examples changes with the weights."""

    norms: tuple[float, ...]
    """| grad f(w, x_i) | for each example, loss per unit of weight."""

    @property
    def lipschitz(self) -> float:
        """The largest of them: L as seen from these examples and weights, so at or below the true one."""
        return max(self.norms)

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.norms) / len(self.norms)


def gradient_norms(model: nn.Module, examples: Iterable[Any], *, loss: Loss = labelled_loss) -> GradientNorms:
    """Return the norm of each example's gradient at the model's current weights, which estimates L from below.

    L is the supremum between pre-trained and trained weights: measure at both and take the larger. Only trainable
    weights count, in evaluation mode, without dropout; gradients that the model holds stay as they are.

    Args:
        model: Model, of which some weights are trainable.
        examples: Batches of one row.
        loss: Gives the mean loss over the rows of a batch, a scalar, of the model and the batch.

    Raises:
        HoldfastError: A batch has several rows, whose mean gradient is shorter; there are no examples, or no
            trainable weights.
    """
    parameters = trainable(model)
    norms = []
    with evaluating(model):
        for position, example in enumerate(examples):
            if row_count(example) != 1:
                raise HoldfastError(
                    f"example {position} is a batch of {row_count(example)} rows: give batches of one row, "
                    "as the mean of several gradients is shorter than they are"
                )
            gradients = torch.autograd.grad(loss(model, example), parameters, materialize_grads=True)
            norms.append(float(torch.stack(torch._foreach_norm([one.float() for one in gradients])).norm()))
    if not norms:
        raise HoldfastError("there are no examples: give at least one")
    return GradientNorms(tuple(norms))


def feature_norm(x: Tensor) -> float:
    """Return B, the largest norm of a row of ``x``, (n, d): the vectors that the head multiplies."""
    if x.ndim != 2 or len(x) == 0:
        raise HoldfastError(f"x is to be (n, d) with at least one row, not {tuple(x.shape)}")
    return float(x.detach().to(torch.float64).norm(dim=1).max())
