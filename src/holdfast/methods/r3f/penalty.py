"""How far predictions moved when the input embedding trembled."""

from typing import Literal

from torch import Tensor

from holdfast.methods.forward import Kind
from holdfast.methods.parts.divergence import divergence


def r3f_penalty(clean: Tensor, noised: Tensor, kind: Kind, rows: float | None = None) -> Tensor:
    """Return KL_S(P_clean || P_noised), the mean over rows of the symmetric divergence: a scalar in nats.

    ``clean``, ``noised``: (rows, classes) logits; for regression (rows,) or (rows, 1) values, where KL is
    undefined and the squared difference takes its place. ``rows``: what the sum is divided by, if not their
    number. Aghajanyan et al. 2020, equations 3 to 5, without the weight lambda.
    """
    return divergence(kind, clean, noised).sum() / (len(clean) if rows is None else rows)


def r3f_token_penalty(
    clean: Tensor, noised: Tensor, mask: Tensor, positions: Literal["mean", "sum"], rows: float, tokens: float
) -> Tensor:
    """Return the penalty for outputs a token, (rows, positions, classes): a scalar in nats.

    ``positions="mean"``: sum over the labelled positions (``mask``, (rows, positions)) over ``tokens``, the
    scale of the cross entropy. ``positions="sum"``: sum over all positions, padding included, over ``rows``, as
    the published code for generation does; it grows with the length the batch is padded to.
    """
    apart = divergence("tokens", clean, noised)
    return (apart * mask).sum() / tokens if positions == "mean" else apart.sum() / rows
