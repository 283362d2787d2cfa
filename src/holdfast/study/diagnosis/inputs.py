"""The pre-trained model, a task's training rows, and the features that the head is fed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holdfast.modes import evaluating
from holdfast.records.run import RunSpec
from holdfast.tasks import draw_subset
from holdfast.tasks.encode import EncodedSplit, encode
from holdfast.tasks.task import Task
from holdfast.training.forward.feature_hook import FeatureHook
from holdfast.training.models.loading import fill_padding, load_model, load_tokenizer


@dataclass(frozen=True)
class Inputs:
    """What everything is measured on."""

    spec: RunSpec
    task: Task
    model: Any
    data: EncodedSplit
    collate: Any

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return these rows as the model's keyword arguments, on its device."""
        device = next(self.model.parameters()).device
        return {name: value.to(device) for name, value in self.collate([self.data[row] for row in rows]).items()}

    @property
    def labels(self) -> Tensor:
        """(n,): the classes."""
        return torch.tensor([row["labels"] for row in self.data.rows])


def load_inputs(spec: RunSpec, task: Task) -> Inputs:
    """Load the model that a run would start from, head included, and the rows it would train on."""
    from transformers import DataCollatorWithPadding, set_seed

    set_seed(spec.seed)
    tokenizer = load_tokenizer(spec.source)
    model = load_model(spec.source, task.num_outputs, task.label_names)
    fill_padding(model, tokenizer)
    split = task.splits["train"]
    if spec.train_size is not None:
        split = draw_subset(split, spec.train_size, spec.subset_seed, task.kind)
    data, _ = encode(split, tokenizer, spec.settings.max_length, task.kind)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return Inputs(spec, task, model, data, DataCollatorWithPadding(tokenizer))


def head_features(inputs: Inputs) -> Tensor:
    """Return, (n, width), what the head's last linear layer is fed for each training row, without dropout.

    Raises ``HoldfastError`` for models whose logits are not made by a linear layer.
    """
    hook = FeatureHook(inputs.model, "stability task")
    # Rows of one length together, so that little is spent on padding.
    order = sorted(range(len(inputs.data)), key=lambda row: len(inputs.data[row]["input_ids"]))
    parts = []
    try:
        with evaluating(inputs.model), torch.no_grad():
            size = inputs.spec.settings.eval_batch_size
            for first in range(0, len(order), size):
                batch = inputs.batch(order[first : first + size])
                with hook.listen():
                    logits = inputs.model(**batch).logits
                parts.append(hook.features(logits, 1, batch).cpu())
    finally:
        hook.remove()
    features = torch.cat(parts)
    return features[torch.tensor(order).argsort()]
