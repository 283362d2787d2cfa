"""Which rows each run got right, for what is known about new rows."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.store.run_store import Store


def per_example_accuracy(
    store: Store, records: Sequence[RunRecord], stored: Sequence[StoredTask]
) -> dict[str, list[float]]:
    """Return, by run id, 1.0 for each scored row predicted right and 0.0 for the others, in the task's order.

    Only for tasks scored by accuracy, where a score is a mean over rows, not over words, which hang together within
    their row; runs without predictions are left out.
    Raises ``HoldfastError`` for predictions that cannot be read.
    """
    by_accuracy = {task.dataset_key for task in stored if task.info.metric == "accuracy" and task.info.kind != "tokens"}
    right = {}
    for record in records:
        if record.status == "finished" and record.spec.dataset_key in by_accuracy:
            arrays = store.arrays(record.id, "predictions.npz", "logits", "labels")
            if arrays is not None:
                logits, labels = arrays
                right[record.id] = (logits.argmax(-1) == labels).astype(float).tolist()
    return right
