"""Which rows each run got right, for what is known about new rows."""

from collections.abc import Sequence
from zipfile import BadZipFile

from holdfast.records.run import RunRecord
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.store.run_store import Store, damaged


def per_example_accuracy(
    store: Store, records: Sequence[RunRecord], stored: Sequence[StoredTask]
) -> dict[str, list[float]]:
    """Return, by run id, 1.0 for each scored row predicted right and 0.0 for the others, in the task's order.

    Only for tasks scored by accuracy, where a score is a mean over rows, not over words, which hang together within
    their row; runs without predictions are left out.
    Raises ``HoldfastError`` for predictions that cannot be read.
    """
    import numpy as np

    by_accuracy = {task.dataset_key for task in stored if task.info.metric == "accuracy" and task.info.kind != "tokens"}
    right = {}
    for record in records:
        path = store.runs / record.id / "predictions.npz"
        if record.status == "finished" and record.spec.dataset_key in by_accuracy and path.is_file():
            try:
                with path.open("rb") as file, np.load(file) as saved:
                    right[record.id] = (saved["logits"].argmax(-1) == saved["labels"]).astype(float).tolist()
            except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
                raise damaged(path, error) from None
    return right
