"""The hidden layers of a run's model beside those of the pre-trained one, on the rows that the run kept."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from holdfast.collapse.monitor.drift import layer_drift
from holdfast.measures.layers import measure_layers
from holdfast.methods.parts.model.layers import is_encoder_decoder
from holdfast.records.run import LayerState, RunSpec
from holdfast.tasks.task import Task
from holdfast.training.models.loading import fill_padding, load_tokenizer, load_tuned
from holdfast.training.quiet import quiet
from holdfast.training.task_models import task_model_of


def tuned_layers(spec: RunSpec, task: Task, folder: Path) -> list[LayerState]:
    """Return what tuning did to every hidden layer, for the run that left its model and states in ``folder``.

    Against the pre-trained model, also where the run went on from another. Empty where the model gives no states.
    """
    path = folder / "representations.npz"
    if not path.is_file():
        return []
    with np.load(path) as saved:
        states, ids = saved["states"], saved["ids"].tolist()
    tokenizer = load_tokenizer(spec.source)
    task_model = task_model_of(spec, task)
    # That heads are drawn anew was told when the run began.
    with quiet():
        start = task_model.load()
        tuned = load_tuned(folder / "model", spec.remote_code)
    fill_padding(start, tokenizer)
    drift = layer_drift(tuned, start)
    del tuned
    split = task.splits[task.scored_split]
    places = {name: row for row, name in enumerate(split.ids)}
    retained = split.take([places[name] for name in ids])
    rows, _ = task_model.encode(retained, tokenizer, training=False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start.to(device)
    batches = DataLoader(
        rows,
        batch_size=spec.settings.eval_batch_size,
        collate_fn=task_model.collator(tokenizer, start),
    )
    reference = task_model.states(
        start, ({name: value.to(device) for name, value in batch.items()} for batch in batches)
    )
    if reference is None:
        return []
    measures = measure_layers(states, reference)
    if drift is not None and is_encoder_decoder(start):
        # Where the states are those of the encoder alone: its layers come first.
        drift = drift[: len(measures)]
    if drift is None or len(drift) != len(measures):
        # Some models give hidden states that are no block's.
        drift = [None] * len(measures)
    return [LayerState(**dict(one), weight_distance=distance) for one, distance in zip(measures, drift, strict=True)]
