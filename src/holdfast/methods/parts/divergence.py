"""How far apart two predictions for the same row are, computed in float32."""

from torch import Tensor

from holdfast.methods.forward import Kind


def symmetric_kl(a: Tensor, b: Tensor) -> Tensor:
    """Return KL(P||Q) + KL(Q||P) for P = softmax(a), Q = softmax(b), summed over classes.

    ``a``, ``b``: logits, (..., classes); the result has shape (...), in nats. The sum, without a factor of
    one half, as in Aghajanyan et al. 2020, equation 3.

    The closed form sum_k (p_k - q_k)(a_k - b_k) is used: the normalisers drop out because both
    distributions sum to one. It is exactly 0 for equal logits and keeps its relative precision where the two
    divergences computed apart would cancel to rounding noise (differences of 1e-6 and below).
    """
    a, b = a.float(), b.float()
    return ((a.softmax(-1) - b.softmax(-1)) * (a - b)).sum(-1)


def symmetric_bernoulli_kl(a: Tensor, b: Tensor) -> Tensor:
    """Return the symmetric KL of independent Bernoulli variables with logits ``a`` and ``b``, summed over labels.

    Shapes and units as in ``symmetric_kl``; for multi-label classification.
    """
    a, b = a.float(), b.float()
    return ((a.sigmoid() - b.sigmoid()) * (a - b)).sum(-1)


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared difference of two outputs, averaged over the last dimension: for regression.

    KL is undefined there; between two Gaussians of equal variance it is proportional to this.
    """
    return (a.float() - b.float()).square().mean(-1)


def divergence(kind: Kind, a: Tensor, b: Tensor) -> Tensor:
    """Return the distance that fits the outputs' meaning; (rows,) or, for tokens, (rows, positions)."""
    if kind == "regression":
        return squared_difference(a.reshape(len(a), -1), b.reshape(len(b), -1))
    if kind == "multi_label":
        return symmetric_bernoulli_kl(a, b)
    return symmetric_kl(a, b)
