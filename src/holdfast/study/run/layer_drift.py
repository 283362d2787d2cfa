"""The hidden layers of a run's model beside those of the pre-trained one, on the rows that the run kept."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from holdfast.collapse.monitor.drift import layer_drift
from holdfast.measures.layers import measure_layers
from holdfast.measures.representations import LEAST_ROWS
from holdfast.methods.parts.model.layers import body_of, is_encoder_decoder
from holdfast.records.run import LayerState, RunSpec
from holdfast.tasks.task import Task
from holdfast.training.models.hidden_states import as_written, spread_rows
from holdfast.training.models.loading import fill_padding, load_tokenizer
from holdfast.training.run.run_cache import RunCache
from holdfast.training.task_models import task_model_of


def tuned_layers(
    spec: RunSpec,
    task: Task,
    tuned: nn.Module,
    pretrained: nn.Module,
    states: NDArray[np.float32] | None,
    cache: RunCache,
) -> list[LayerState]:
    """Return what tuning did to every hidden layer; nothing of a model without states, or of fewer than 4 rows.

    Args:
        spec: The run.
        task: Its task.
        tuned: The tuned model.
        pretrained: The pre-trained one, also where the run went on from another.
        states: (layers, rows, width) the tuned model's hidden states of the rows that are kept; None where it gives
            none.
        cache: Of the process: what the pre-trained model makes of these rows is the same for all its runs.
    """
    if states is None or states.shape[1] < LEAST_ROWS:
        return []
    drift = layer_drift(tuned, pretrained)
    weights = tuple(float(p.double().sum()) for p in body_of(pretrained).parameters())
    settings = spec.settings
    key = ("states", spec.source, weights, task.fingerprint, settings.max_length, settings.max_target_length)
    reference = cache.get(key, lambda: _reference(spec, task, pretrained))
    if reference is None:
        return []
    # As they are written, for those who read the file.
    measures = measure_layers(as_written(states), reference)
    if drift is not None and is_encoder_decoder(pretrained):
        # Where the states are those of the encoder alone: its layers come first.
        drift = drift[: len(measures)]
    if drift is None or len(drift) != len(measures):
        # Some models give hidden states that are no block's.
        drift = [None] * len(measures)
    return [LayerState(**dict(one), weight_distance=distance) for one, distance in zip(measures, drift, strict=True)]


def _reference(spec: RunSpec, task: Task, pretrained: nn.Module) -> NDArray[np.float32] | None:
    """Return the hidden states of the pre-trained model, (layers, rows, width), of the rows that runs keep."""
    tokenizer = load_tokenizer(spec.source)
    task_model = task_model_of(spec, task)
    fill_padding(pretrained, tokenizer)
    split = task.splits[task.scored_split]
    rows, _ = task_model.encode(split.take(spread_rows(len(split))), tokenizer, training=False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pretrained.to(device)
    batches = DataLoader(
        rows,
        batch_size=spec.settings.eval_batch_size,
        collate_fn=task_model.collator(tokenizer, pretrained),
    )
    return task_model.states(
        pretrained, ({name: value.to(device) for name, value in batch.items()} for batch in batches)
    )
