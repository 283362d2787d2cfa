"""SURT: re-train on the task's own texts first."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan, SelfSupervised
from holdfast.methods.parts.model.pretrained import body_parameters, refuse_adapters
from holdfast.methods.requires import Footprint, Order, Requires

logger = logging.getLogger(__name__)

_PREFIX = "retrained."


@dataclass(frozen=True)
class SURT(Method):
    """Self unsupervised re-training (Fu, So & Collier 2023): tune from w_U, re-trained on the task's texts, not w_0.

    Before the task's training, the model goes on with its own pre-training task on the task's training texts
    without their labels; the output layer used for that is thrown away. The bound of full tuning grows with the
    distance from the first to the last weights, and the paper expects |w_U - w_*| < |w_0 - w_*|. Whether that
    came true is logged at the end: the distance of the final weights of the pre-trained body from both starts.

    The paper has no published code. That it re-trains with masked-language modelling on the target data, for the
    sake of that distance, is confirmed by a summary of it. The rate is that of task-adaptive pre-training
    (Gururangan et al. 2020), which takes 100 epochs of batches of 256; all else here is our choice.

    Example:
        >>> trainer = Trainer(model, args, train_dataset=data, processing_class=tokenizer)
        >>> output = attach(trainer, SURT(epochs=1)).train()
    """

    name: ClassVar[str] = "surt"
    summary: ClassVar[str] = "re-trains on the task's texts without labels first"

    epochs: int = 10
    """Passes over the training texts. Our choice; the paper's is not known here."""
    learning_rate: float = 1e-4
    """Of the re-training alone."""
    mask_rate: float = 0.15
    """Share of the tokens that the model has to tell; no meaning for decoders, which tell all."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise HoldfastError(f"surt(epochs={self.epochs}): at least 1 pass over the texts is needed")
        if not 0 < self.learning_rate < float("inf"):
            raise HoldfastError(f"surt(learning_rate={self.learning_rate!r}): learning_rate must be above 0")
        if not 0 < self.mask_rate < 1:
            raise HoldfastError(f"surt(mask_rate={self.mask_rate!r}): mask_rate must lie between 0 and 1")

    @property
    def requires(self) -> Requires:
        """The task's texts, before anything else happens to the model."""
        return Requires(order=Order.PRETRAINING, text=True, full_pass=True)

    def check(self, model: nn.Module) -> Footprint:
        """Return the pre-trained weights; the state is two copies of them in the host's memory.

        Raises ``HoldfastError`` where no pre-trained weight is trained.
        """
        refuse_adapters(model, self.name)
        weights = body_parameters(model, self.name)
        if not any(p.requires_grad for p in weights.values()):
            raise HoldfastError(
                f"surt re-trains the pre-trained weights, and all those of {type(model).__name__} are frozen: "
                "unfreeze some or leave surt out"
            )
        size = sum(weight.numel() * weight.element_size() for weight in weights.values())
        action = f"re-trained for {self.epochs} epochs on the task's texts first; not a pooler"
        return Footprint(weights, action, 2 * size)

    def start(self, model: nn.Module, plan: Plan) -> "SURTSession":
        """Note the weights before the re-training."""
        return SURTSession(self, model, plan)


class SURTSession(MethodSession[SURT]):
    """The weights before and after the re-training, which the final ones are measured from."""

    def __init__(self, method: SURT, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.initial: dict[str, Tensor] | None = _copied(model, method.name)
        """None where the model came without its pre-trained weights."""
        self.retrained: dict[str, Tensor] | None = None
        self.moved = 0.0
        """How far the re-training went."""

    def pretraining(self) -> Iterator[SelfSupervised]:
        """Give the re-training; note the weights after it."""
        assert self.initial is not None
        yield SelfSupervised(self.method.epochs, self.method.learning_rate, self.method.mask_rate)
        self.retrained = _copied(self.model, self.method.name)
        self.moved = _distance(self.initial, self.retrained)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the re-trained weights, and how far they are from those before."""
        retrained = {f"{_PREFIX}{name}": value for name, value in (self.retrained or {}).items()}
        return {"moved": torch.tensor(self.moved, dtype=torch.float64), **retrained}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the re-trained weights from ``state``: those of the model are the half-tuned ones."""
        self.retrained = {name.removeprefix(_PREFIX): v for name, v in state.items() if name.startswith(_PREFIX)}
        self.moved = float(state["moved"])
        if self.initial is None or not math.isclose(_distance(self.initial, self.retrained), self.moved, rel_tol=1e-3):
            logger.warning("surt: the model did not come with its pre-trained weights, so no distance to them is told")
            self.initial = None

    def finish(self) -> Mapping[str, float]:
        """Return distances in the pre-trained body, Euclidean over all its weights.

        ``start_distance``: from the re-trained to the final weights; ``pretrained_distance``: from those of the
        checkpoint to the final ones; ``retraining_moved``: from those of the checkpoint to the re-trained ones. A
        training that goes on without re-training has the first alone: what it began with was tuned already.
        """
        if self.retrained is None:
            return {}
        final = {name: p.detach() for name, p in body_parameters(self.model, self.method.name).items()}
        distances = {"start_distance": _distance(self.retrained, final)}
        words = {"start_distance": "re-trained"}
        if self.moved and self.initial is not None:
            distances = {"pretrained_distance": _distance(self.initial, final), **distances}
            words = {"pretrained_distance": "pre-trained", **words}
        message = " and ".join(f"{value:.4g} from the {words[name]} ones" for name, value in distances.items())
        logger.info("surt: the body's final weights are at a distance of %s", message)
        return distances | ({"retraining_moved": self.moved} if self.moved else {})


def _copied(model: nn.Module, method: str) -> dict[str, Tensor]:
    return {name: parameter.detach().cpu().clone() for name, parameter in body_parameters(model, method).items()}


def _distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    squares = 0.0
    for name, weight in a.items():
        gap = weight.float() - b[name].to(weight.device).float()
        squares += float(torch.linalg.vector_norm(gap, dtype=torch.float64)) ** 2
    return math.sqrt(squares)
