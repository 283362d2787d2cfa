"""How far tuning moved a model from its pre-trained weights."""

import logging
import math

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.measures.weights import weight_distance
from holdfast.methods.parts.model.layers import body_of

logger = logging.getLogger(__name__)


def body_distance(model: nn.Module, start: nn.Module) -> float | None:
    """Return the Euclidean distance between the bodies of two models, weights that are shared counted once.

    The head is left out: it is drawn anew, so its start says nothing. Of models that write texts, whose body may have
    no name of its own, it counts: it is pre-trained, or the embedding once more. Returns None where a weight is not
    finite, and, with a line in the log, where the bodies cannot be told from their heads or differ in names or shapes.
    """
    body, other = body_of(model), body_of(start)
    if (body is model or other is start) and not (_writes(model) and _writes(start)):
        logger.warning("%s has no body apart from its head: no distance is kept", type(model).__name__)
        return None
    try:
        moved = weight_distance(dict(body.named_parameters()), dict(other.named_parameters()))
    except HoldfastError as error:
        logger.warning("the distance from the pre-trained weights is not kept: %s", error)
        return None
    return moved if math.isfinite(moved) else None


def _writes(model: nn.Module) -> bool:
    return getattr(model, "get_output_embeddings", lambda: None)() is not None
