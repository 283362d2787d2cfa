"""The divergence of the published code, which takes each prediction as a constant target of the other."""

from torch import Tensor

from holdfast.methods.forward import Kind
from holdfast.methods.parts.divergence import divergence


def detached_divergence(kind: Kind, a: Tensor, b: Tensor) -> Tensor:
    """Return ``divergence(kind, a, b)`` with the gradient of KL(sg P || Q) + KL(sg Q || P), sg stopping gradient.

    Each prediction is pulled to the other as to a constant target. For regression it is the squared difference.
    """
    if kind == "regression":
        return divergence(kind, a, b)
    a, b = a.float(), b.float()
    apart = a.sigmoid() - b.sigmoid() if kind == "multi_label" else a.softmax(-1) - b.softmax(-1)
    return (apart.detach() * (a - b)).sum(-1)
