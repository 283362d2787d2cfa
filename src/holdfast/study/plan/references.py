"""References: linear models that take seconds, which tuning has to beat to be worth its time."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import REFERENCE_NAMES, DatasetKey, RunSpec
from holdfast.records.task import TaskSpec
from holdfast.study.define.study_file import StudyFile
from holdfast.tasks.task import Task

MOST_ROWS = 20_000
"""Training rows up to which fitting takes seconds, and the features of all rows fit into memory at once."""

FOLDS = 5
"""Of the cross-validation that chooses how strongly they are regularised."""


def reference_runs(
    study: StudyFile, tasks: Mapping[TaskSpec, Task], train_rows: Mapping[DatasetKey, int]
) -> list[RunSpec]:
    """Return the runs that fit references: each one once for every task and number of training rows.

    None for tasks without a class or a number a row, for more than ``MOST_ROWS`` training rows, for stages of a
    sequence, and where ``study`` asks for none.

    Args:
        study: The study, resolved.
        tasks: Its own tasks, loaded.
        train_rows: Training rows that there are, by ``RunSpec.dataset_key``.
    """
    if not study.references or study.sequence is not None:
        return []
    specs = [
        RunSpec(
            model=study.model,
            revision=study.revision,
            task=spec,
            data=task.fingerprint,
            method="",
            train_size=size,
            # Nothing is drawn.
            seed=0,
            data_seed=0,
            subset_seed=study.subset_seed,
            settings=study.settings,
            remote_code=study.remote_code,
            pickled_weights=study.pickled_weights,
            reference=reference,
        )
        for spec, task in tasks.items()
        for size in study.train_sizes
        for reference in REFERENCE_NAMES
        if task.labels_rows
    ]
    return [spec for spec in specs if train_rows[spec.dataset_key] <= MOST_ROWS]


def too_many_rows(study: StudyFile, task: Task, train_rows: int) -> Sequence[str]:
    """Return a note where there would be references, were there fewer training rows."""
    if not study.references or study.sequence is not None or not task.labels_rows or train_rows <= MOST_ROWS:
        return ()
    return (f"TF-IDF and frozen embeddings are fitted on up to {MOST_ROWS} training rows; here they are left out",)
