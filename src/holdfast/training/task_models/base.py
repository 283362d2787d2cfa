"""What a run does differently for each kind of task."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from transformers import Trainer, TrainingArguments

from holdfast.records.run import RunSpec
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.task import Split, Task
from holdfast.training.models.hidden_states import Pooling, layer_states
from holdfast.training.models.loading import empty_model, load_weights

Outputs = Any
"""What a model predicts for the rows of a split, in their order; each task model has a type of its own for it."""
IGNORED = -100
"""Label of what is not learnt, and what the Trainer fills predictions of different lengths with."""

Arguments = TypeVar("Arguments", bound=TrainingArguments)


def on_one_gpu(arguments: Arguments) -> Arguments:
    """Return ``arguments`` for one GPU: on a machine with several, the trainer would replicate the model over them.

    Before the trainer is made, which multiplies its batch by their number.
    """
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


@dataclass(frozen=True)
class TaskModel(ABC):
    """One kind of task, and a model that fits it: from texts to tensors, and from tensors to scores."""

    spec: RunSpec
    task: Task

    auto_class: ClassVar[Any]
    """Class with ``from_pretrained`` and ``from_config`` that gives a model its head."""
    ability: ClassVar[str]
    """What it does, as a verb: models without such a head cannot."""
    pooling: ClassVar[Pooling | None] = "auto"
    """Where the hidden states of the passes that predict are read; None where ``states`` needs others."""

    @abstractmethod
    def config(self) -> Any:
        """Return the model's configuration with a head for the task."""

    def empty(self) -> Any:
        """Return the model without memory for its weights. Raises ``HoldfastError`` where it does not fit the task."""
        return empty_model(self.auto_class, self.spec.source, self.config(), self.ability)

    def load(self) -> Any:
        """Return the pre-trained model with a head for the task, in float32; what is new in it is drawn at random.

        Seed the global random generator first. Raises ``HoldfastError`` as ``load_weights`` does.
        """
        return load_weights(self.auto_class, self.spec.source, self.config())[0]

    def notes(self) -> list[str]:
        """Return what the user should know of how ``load`` fits the model to the task."""
        return []

    @abstractmethod
    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:
        """Return the rows as the trainer's collator takes them, and how many were cut.

        ``training``: to learn from, with labels; else to be scored, with labels where the split has them. Raises
        ``HoldfastError`` when no room is left for text.
        """

    @abstractmethod
    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:
        """Return how many rows ``encode`` would cut, by the option that would keep them whole (``--max-length``)."""

    @abstractmethod
    def collator(self, tokenizer: Any, model: Any) -> Any:
        """Return what makes a batch of rows that ``encode`` returned."""

    @abstractmethod
    def trainer(self, arguments: Mapping[str, Any], **parts: Any) -> Trainer:
        """Return a trainer; ``arguments`` are those of ``TrainingArguments``, ``parts`` those of ``Trainer``."""

    @abstractmethod
    def read(self, prediction: Any, tokenizer: Any) -> Outputs:
        """Return the outputs in ``prediction``, a trainer's ``PredictionOutput`` or ``EvalPrediction``."""

    @abstractmethod
    def score(self, outputs: Outputs, split: Split, metrics: Sequence[str]) -> dict[str, float | None]:
        """Return the scores of outputs for the rows of a labelled split; None where undefined."""

    @abstractmethod
    def finite(self, outputs: Outputs) -> bool:
        """Return whether all numbers in ``outputs`` are finite."""

    @abstractmethod
    def dominant_share(self, outputs: Outputs) -> float | None:
        """Return the share of rows with the most frequent prediction; None where predictions are numbers."""

    @abstractmethod
    def prediction_arrays(self, split: Split, outputs: Outputs) -> dict[str, NDArray[Any]]:
        """Return what is written of the scored rows: ``ids``, one a prediction, and more that numpy saves unpickled."""

    def states(self, model: Any, batches: Iterable[Mapping[str, Any]]) -> NDArray[np.float32] | None:
        """Return (layers, rows, width): hidden states, one vector a row; None where there are none to line up."""
        assert self.pooling is not None
        states = layer_states(model, batches, self.pooling)
        return None if states is None else self.states_of_rows(states)

    def states_of_rows(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (layers, rows, width) of what the model gives for the rows."""
        return states
