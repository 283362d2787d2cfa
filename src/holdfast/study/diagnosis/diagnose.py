"""From a checked study of one task to its diagnosis."""

from collections.abc import Callable

import torch
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.heads import head_linears
from holdfast.records.diagnosis import Diagnosis, Features, HeadTuning
from holdfast.study.diagnosis.full import measure_full
from holdfast.study.diagnosis.geometry import describe_features
from holdfast.study.diagnosis.head import measure_head
from holdfast.study.diagnosis.inputs import Inputs, head_features, load_inputs
from holdfast.study.diagnosis.reading import judge, sentences
from holdfast.study.plan.prepare import Prepared
from holdfast.tasks.kinds.predicted import check_labels_rows

OnProgress = Callable[[str, int, int], None]
"""(phase, done, of)"""


def diagnose(prepared: Prepared, tune_steps: int, on_progress: OnProgress | None = None) -> Diagnosis:
    """Measure what limits the stability of tuning the first run of ``prepared``: its task, model, rows, settings.

    ``tune_steps``: of the short tuning of the whole model; 0 leaves full tuning out. Regression has no classes, so
    that only full tuning is measured. Raises ``HoldfastError`` for what the user can mend.
    """
    tell = on_progress or (lambda phase, done, total: None)
    spec, task = prepared.grid[0], prepared.tasks[0]
    check_labels_rows(
        task,
        "stability task looks at tasks with a class or a number a row; to see how runs differ, use holdfast compare "
        "with several seeds",
    )
    if task.kind == "regression" and tune_steps < 1:
        raise HoldfastError(f"{task.name}: for regression only full tuning is measured; give --tune-steps 1 or more")
    tell("loading the model", 0, 1)
    inputs = load_inputs(spec, task)
    notes: list[str] = []
    features, head = None, None
    if task.kind == "regression":
        notes.append("Regression has no classes: margins and head tuning are not measured.")
    else:
        features, head = _head_part(inputs, tell, notes)
    full = None
    if tune_steps:
        full = measure_full(inputs, tune_steps, lambda done, total: tell("full tuning", done, total))
    limits = judge(features, head, full)
    return Diagnosis(
        task=task.name,
        model=spec.model,
        train_rows=len(inputs.data),
        seed=spec.seed,
        settings=spec.settings,
        features=features,
        head=head,
        full=full,
        limits=limits,
        sentences=sentences(limits, head),
        notes=tuple(notes),
    )


def _head_part(inputs: Inputs, tell: OnProgress, notes: list[str]) -> tuple[Features, HeadTuning]:
    spec, names = inputs.spec, inputs.task.label_names
    tell("features", 0, 1)
    x, y = _enough(head_features(inputs), inputs.labels, inputs, notes)
    lower_layers = len(head_linears(inputs.model, "stability task")) - 1
    if lower_layers:
        notes.append(
            f"The head has {lower_layers + 1} linear layers and the features come out of the lower ones: where the "
            "checkpoint brings none, these are drawn anew, and another seed has other features."
        )
    tell("margins", 0, 1)
    features = describe_features(x, y, names, lower_layers, spec.seed)
    config = inputs.model.config
    head = measure_head(
        x,
        y,
        spec.settings.total_steps(len(x)),
        init_scale=float(getattr(config, "initializer_range", None) or 0.02),
        seed=spec.seed,
        progress=lambda done: tell("head tuning", done, 6),
    )
    if head.left_out < len(x):
        notes.append(f"{head.left_out} of the {len(x)} rows, drawn at random, were left out; all would take long.")
    return features, head


def _enough(x: Tensor, y: Tensor, inputs: Inputs, notes: list[str]) -> tuple[Tensor, Tensor]:
    """Leave out classes of a single row: without that row, they would be gone."""
    name, names = inputs.task.name, inputs.task.label_names
    labels, counts = torch.unique(y, return_counts=True)
    lonely = [int(label) for label, count in zip(labels, counts, strict=True) if count < 2]
    if len(labels) - len(lonely) < 2:
        raise HoldfastError(f"{name}: fewer than 2 classes have 2 training rows or more; give a greater --train-size")
    if not lonely:
        return x, y
    notes.append(f"Classes with a single training row are left out: {', '.join(names[label] for label in lonely)}.")
    retained = ~torch.isin(y, torch.tensor(lonely))
    return x[retained], y[retained]
