"""What tuning did to the hidden layers, by method: means over the runs of a study."""

from collections.abc import Sequence
from statistics import fmean

from holdfast.records.run import LayerState, RunRecord
from holdfast.records.summary import Representation
from holdfast.study.plan.prepare import StoredTask

_MEASURES = [name for name in LayerState.model_fields if name != "layer"]


def mean_layers(
    records: Sequence[RunRecord], stored: Sequence[StoredTask], methods: Sequence[str]
) -> list[Representation]:
    """Return a row for each task, method and hidden layer of which runs kept their states.

    A mean is over the runs for which the measure is defined.
    """
    return [
        _row(task.info.task, method, [states[place] for states in measured])
        for task in stored
        for method in methods
        if (
            measured := [
                record.layers
                for record in records
                if record.spec.dataset_key == task.dataset_key and record.spec.method == method and record.layers
            ]
        )
        for place in range(min(map(len, measured)))
    ]


def _row(task: str, method: str, states: Sequence[LayerState]) -> Representation:
    means = {}
    for name in _MEASURES:
        known = [value for state in states if (value := getattr(state, name)) is not None]
        means[name] = fmean(known) if known else None
    return Representation(task=task, method=method, layer=states[0].layer, runs=len(states), **means)
