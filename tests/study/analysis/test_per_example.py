import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.records.summary import TaskInfo
from holdfast.study.analysis.per_example import per_example_accuracy
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.store.run_store import Store
from study.run_records import run_record


def stored(source, metric):
    values = {"kind": "classification", "train_rows": 1, "scored_split": "test", "scored_rows": 3, "selection": ""}
    info = TaskInfo(task=source, metric=metric, constant_score=0, labels=[], notes=[], warnings=[], **values)
    return StoredTask(source=source, fingerprint="", info=info)


def test_rows_count_as_right_by_their_largest_logit_where_accuracy_is_scored(tmp_path):
    store = Store(tmp_path)
    runs = {
        "right": run_record(seed=0),
        "other metric": run_record(task="cola", primary="matthews"),
        "error": run_record(seed=1, status="error"),
        "without": run_record(seed=2),
    }
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.1, 0.2], [-3.0, -1.0, -2.0]])
    for name, record in runs.items():
        folder = store.begin(record.spec)
        if name != "without":
            np.savez(folder / "predictions.npz", logits=logits, labels=np.array([0, 1, 1]))
    tasks = [stored("rte", "accuracy"), stored("cola", "matthews")]
    assert per_example_accuracy(store, list(runs.values()), tasks) == {runs["right"].id: [1.0, 0.0, 1.0]}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_damaged_predictions_are_told_with_their_place(tmp_path, content):
    store, record = Store(tmp_path), run_record()
    store.begin(record.spec)
    (store.runs / record.id / "predictions.npz").write_bytes(content)
    with pytest.raises(HoldfastError, match=r"predictions\.npz is damaged .* delete .* and start again") as caught:
        per_example_accuracy(store, [record], [stored("rte", "accuracy")])
    assert "\n" not in str(caught.value)
