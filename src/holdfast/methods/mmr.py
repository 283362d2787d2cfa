"""MMR: push the classes' centroids apart."""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Forward
from holdfast.methods.parts.model.heads import last_linear
from holdfast.methods.requires import Footprint, Part, Requires

_NO_CLASSES = (
    "mmr parts the classes, and here the labels are values or independent of each other, so there are none: "
    "leave mmr out"
)


def centroid_distances(features: Tensor, labels: Tensor) -> Tensor:
    """Return the distances between the classes' mean vectors, (pairs,), in float32 and with gradient.

    ``features``: (rows, width); ``labels``: (rows,) class numbers. Pairs are unordered, of classes present: none
    where there is one class alone.
    """
    classes, index = torch.unique(labels, return_inverse=True)
    with torch.autocast(features.device.type, enabled=False):
        # A product with the indicator, as adding by index is not deterministic on GPUs.
        members = F.one_hot(index, len(classes)).T.to(torch.promote_types(features.dtype, torch.float32))
        centroids = members @ features.to(members.dtype) / members.sum(1, keepdim=True)
    first, second = torch.triu_indices(len(classes), len(classes), 1, device=features.device)
    return cast(Tensor, torch.linalg.vector_norm(centroids[first] - centroids[second], dim=-1))


def mmr_penalty(features: Tensor, labels: Tensor, normalised: bool = False) -> Tensor:
    """Return R = 1 / (1 + ||c_a - c_b||), the mean over pairs of classes present: a scalar in (0, 1].

    0, without gradient, where there is one class alone. ``normalised``: the distance is divided by the mean norm
    of ``features``, which makes R the same for features of any scale. Shapes as in ``centroid_distances``.
    """
    distances = centroid_distances(features, labels)
    if not len(distances):
        return distances.new_zeros(())
    if normalised:
        norm = torch.linalg.vector_norm(features.to(distances.dtype), dim=-1).mean()
        distances = distances / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    return (1 / (1 + distances)).mean()


@dataclass(frozen=True)
class MMR(Method):
    """Maximal margin regulariser (Fu, So & Collier 2023): add weight * 1 / (1 + ||c_+ - c_-||) to the loss.

    c_+ and c_- are the centroids of the two classes' features in the batch. The paper has no published code. That
    features of different classes are pushed apart is confirmed by a summary of it; this formula is not confirmed
    against its text.

    Our choices: features are exactly the vectors that the head's last linear layer is fed, dropout applied; with
    more than two classes R is the mean over pairs of classes present; a batch of one class adds nothing;
    regression and independent labels have no classes to part, and are refused.

    Example:
        >>> engine = Engine(model, [MMR(weight=1.0)], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['mmr', 'task']
    """

    name: ClassVar[str] = "mmr"
    summary: ClassVar[str] = "pushes the classes' mean features apart"

    weight: float = 0.1
    """Alpha. Our choice; the paper's is not known here. 0.01 to 10 is worth a search."""
    normalised: bool = False
    """Divide distances by the features' mean norm, so that R cannot be lowered by mere scale. A variant of ours."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise HoldfastError(f"mmr(weight={self.weight!r}): weight must be a number of at least 0")

    @property
    def requires(self) -> Requires:
        """The body, whose output it moves."""
        return Requires(uses={Part.BODY}, outputs=True, features=True, whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model has no head for classes, or trains nothing below it."""
        _, layer = last_linear(model, self.name)
        if getattr(getattr(model, "config", None), "problem_type", None) in (
            "regression",
            "multi_label_classification",
        ):
            raise HoldfastError(_NO_CLASSES)
        head = {id(parameter) for parameter in layer.parameters()}
        if not any(p.requires_grad and id(p) not in head for p in model.parameters()):
            raise HoldfastError(
                f"mmr moves what the head is fed, and {type(model).__name__} trains nothing below its last layer: "
                "unfreeze the encoder or leave mmr out"
            )
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "MMRSession":
        """Return the session; the model stays as it is."""
        return MMRSession(self, model, plan)


class MMRSession(MethodSession[MMR]):
    """Adds R; it has no state."""

    def loss(self, forward: Forward) -> Tensor:
        """Weight times R of the clean rows, in proportion to their share of the optimizer step.

        Raises ``HoldfastError`` where the labels are no classes, or there is not one vector for each.
        """
        assert forward.features is not None
        features, labels = forward.features, forward.batch["labels"].to(forward.features.device)
        if forward.kind in ("regression", "multi_label") or labels.is_floating_point():
            raise HoldfastError(_NO_CLASSES)
        share = len(labels) / forward.rows
        if forward.token_mask is not None:
            mask = forward.token_mask.to(features.device)
            features, labels, share = features[mask], labels[mask], float(mask.sum()) / forward.tokens
        elif len(features) != len(labels):
            raise HoldfastError(
                f"mmr needs one vector a row and got {len(features)} for {len(labels)}, as models of multiple choice "
                "score each choice by itself: leave mmr out"
            )
        labels = labels.flatten()
        known = labels != -100
        return self.method.weight * share * mmr_penalty(features[known], labels[known], self.method.normalised)
