"""Texts that one of several choices follows."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForMultipleChoice, DataCollatorForMultipleChoice

from holdfast.tasks.encode import EncodedSplit, are_cut, encode
from holdfast.tasks.task import Split
from holdfast.training.task_models.classifier import Classifier
from holdfast.training.task_models.scoring import Scorer


class MultipleChoice(Classifier):
    """A scorer of pairs, the text and one of its choices. Outputs are logits, (rows, choices).

    The model takes tensors of (rows, choices, tokens) and lays them out as rows x choices texts.
    """

    auto_class: ClassVar[Any] = AutoModelForMultipleChoice
    ability = "answer multiple choice"
    # Names for all choices, and one output.
    config = Scorer.config

    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:
        """Return rows of a list of values a choice; a row is cut where one of its pairs is."""
        length, each = self.spec.settings.max_length, len(self.task.label_names)
        pairs = encode(_pairs(split), tokenizer, length, self.task.kind)[0].rows
        rows: list[dict[str, Any]] = [
            {name: [pair[name] for pair in pairs[start : start + each]] for name in pairs[start]}
            for start in range(0, len(pairs), each)
        ]
        if split.labels is not None:
            for row, label in zip(rows, split.classes, strict=True):
                row["labels"] = label
        # Only rows with a pair of exactly the full length can have lost something.
        full = [i for i, row in enumerate(rows) if any(len(ids) == length for ids in row["input_ids"])]
        return EncodedSplit(rows), self.count_cut(split.take(full), tokenizer)["--max-length"]

    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:  # noqa: D102
        cut = are_cut(_pairs(split), tokenizer, self.spec.settings.max_length)
        each = len(self.task.label_names)
        return {"--max-length": sum(any(cut[start : start + each]) for start in range(0, len(cut), each))}

    def collator(self, tokenizer: Any, model: Any) -> Any:  # noqa: D102
        return DataCollatorForMultipleChoice(tokenizer)

    def states_of_rows(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (layers, rows, width): of each row the mean over its choices' vectors."""
        layers, _, width = states.shape
        choices = states.reshape(layers, -1, len(self.task.label_names), width)
        return np.asarray(choices.mean(2))


def _pairs(split: Split) -> Split:
    """Return each row's text with each of its choices, as rows."""
    rows = list(zip(split.texts, split.choices or (), strict=True))
    return Split(
        texts=[text for text, choices in rows for _ in choices],
        pairs=[choice for _, choices in rows for choice in choices],
        labels=None,
        ids=[name for name, choices in zip(split.ids, split.choices or (), strict=True) for _ in choices],
    )
