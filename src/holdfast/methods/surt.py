"""SURT: re-train on the task's own texts first."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, SelfSupervised
from holdfast.methods.parts.model.pretrained import body_parameters, refuse_adapters

logger = logging.getLogger(__name__)

_PREFIX = "retrained."
_STARTS = {"pretrained_distance": "initial", "start_distance": "retrained"}


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
    needs_text: ClassVar[bool] = True

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

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` where no pre-trained weight is trained."""
        refuse_adapters(model, self.name)
        if not any(p.requires_grad for p in body_parameters(model, self.name).values()):
            raise HoldfastError(
                f"surt re-trains the pre-trained weights, and all those of {type(model).__name__} are frozen: "
                "unfreeze some or leave surt out"
            )

    def selection(self, model: nn.Module) -> Selection:
        """Return the pre-trained weights; the state is two copies of them in the host's memory."""
        weights = body_parameters(model, self.name)
        size = sum(weight.numel() * weight.element_size() for weight in weights.values())
        return Selection(
            weights, f"re-trained for {self.epochs} epochs on the task's texts first; not a pooler", 2 * size
        )

    def stages(self, model: nn.Module, plan: Plan) -> tuple[SelfSupervised, ...]:
        """Return the re-training, and note the weights before it."""
        self.memory["initial"] = _copied(model, self.name)
        return (SelfSupervised(self.epochs, self.learning_rate, self.mask_rate),)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Note the weights after the re-training."""
        self.memory["retrained"] = _copied(model, self.name)
        self.memory["moved"] = _distance(self.memory["initial"], self.memory["retrained"])

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the re-trained weights, and how far they are from those before."""
        moved = {"moved": torch.tensor(self.memory["moved"], dtype=torch.float64)}
        return moved | {f"{_PREFIX}{name}": value for name, value in self.memory["retrained"].items()}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Take the re-trained weights from ``state``: those of the model are the half-tuned ones."""
        retrained = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        self.memory["retrained"], self.memory["moved"] = retrained, float(state["moved"])
        if not math.isclose(_distance(self.memory["initial"], retrained), self.memory["moved"], rel_tol=1e-3):
            logger.warning("surt: the model did not come with its pre-trained weights, so no distance to them is told")
            self.memory["initial"] = None

    def finish(self, model: nn.Module) -> None:
        """Measure how far the final weights are from the pre-trained and from the re-trained ones."""
        if "retrained" not in self.memory:
            return
        final = {name: parameter.detach() for name, parameter in body_parameters(model, self.name).items()}
        # Taken out, as two copies of a large model are dear.
        starts = {name: self.memory.pop(key) for name, key in _STARTS.items()}
        moved = {"retraining_moved": self.memory["moved"]}
        if not self.memory["moved"]:
            # Trained on, without re-training: what it began with was tuned already.
            starts["pretrained_distance"], moved = None, {}
        found = {name: _distance(start, final) for name, start in starts.items() if start is not None}
        self.memory["facts"] = found | moved
        words = {"pretrained_distance": "pre-trained", "start_distance": "re-trained"}
        told = " and ".join(f"{value:.4g} from the {words[name]} ones" for name, value in found.items())
        logger.info("surt: the body's final weights are at a distance of %s", told)

    def facts(self) -> Mapping[str, float]:
        """Return distances in the pre-trained body, Euclidean over all its weights.

        ``start_distance``: from the re-trained to the final weights; ``pretrained_distance``: from those of the
        checkpoint to the final ones; ``retraining_moved``: from those of the checkpoint to the re-trained ones. A
        training that goes on without re-training has the first alone.
        """
        return dict(self.memory["facts"])


def _copied(model: nn.Module, method: str) -> dict[str, Tensor]:
    return {name: parameter.detach().cpu().clone() for name, parameter in body_parameters(model, method).items()}


def _distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    squares = 0.0
    for name, weight in a.items():
        gap = weight.float() - b[name].to(weight.device).float()
        squares += float(torch.linalg.vector_norm(gap, dtype=torch.float64)) ** 2
    return math.sqrt(squares)
