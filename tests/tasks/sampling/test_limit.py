"""A limit on the rows that are scored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.scoring.evaluation import load_evaluation
from tasks.conftest import Write, rows_of, spam


@pytest.fixture
def folder(write: Write) -> Path:
    write("mail/train.jsonl", spam(40))
    write("mail/dev.jsonl", [{"text": f"early {i}", "label": ("ham", "spam")[i % 5 == 0]} for i in range(50)])
    return write("mail/test.jsonl", [{"text": f"late {i}", "label": ("ham", "spam")[i % 5 == 0]} for i in range(100)])


def test_all_splits_but_the_training_rows_are_limited_and_told(folder: Path) -> None:
    source = str(folder.parent)
    whole, task = load_task(TaskSpec(source=source)), load_task(TaskSpec(source=source, scored_rows=20))
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 40, "validation": 20, "test": 20}
    assert task.notes[-2:] == ("kept 20 of 50 validation rows", "scored on 20 of 100 test rows")
    for name in ("validation", "test"):
        assert Counter(task.splits[name].labels) == {0: 16, 1: 4}, "stratified"
        assert set(rows_of(task.splits[name])) < set(rows_of(whole.splits[name]))
    assert task.splits["train"] == whole.splits["train"]
    assert task.fingerprint != whole.fingerprint


def test_the_same_rows_whether_a_task_is_trained_on_or_only_scored(folder: Path) -> None:
    spec = TaskSpec(source=str(folder.parent), scored_rows=20)
    scored = load_evaluation(spec)
    assert scored.splits["test"] == load_task(spec).splits["test"]
    assert "scored on 20 of 100 test rows" in scored.notes
    fewer = load_evaluation(spec.model_copy(update={"scored_rows": 10}))
    assert set(fewer.splits["test"].ids) < set(scored.splits["test"].ids)


@pytest.mark.parametrize("rows", [None, 100, 1000])
def test_a_limit_that_limits_nothing(folder: Path, rows: int | None) -> None:
    task = load_task(TaskSpec(source=str(folder.parent), scored_rows=rows))
    assert task.fingerprint == load_task(TaskSpec(source=str(folder.parent))).fingerprint
    assert not any("rows" in note for note in task.notes)


def test_validation_rows_that_make_the_score_are_told_so(write: Write) -> None:
    task = load_task(TaskSpec(source=str(write("a.jsonl", spam(100))), scored_rows=6))
    assert (len(task.splits["train"]), len(task.splits["validation"])) == (80, 6)
    assert task.notes[-1] == "scored on 6 of 20 validation rows"


def test_generated_and_numeric_rows(write: Write) -> None:
    played = load_task(TaskSpec(source="playground/negation", scored_rows=50))
    assert {len(played.splits[name]) for name in ("validation", "test", "ood")} == {50}
    scores = [{"text": f"text {i}", "label": i / 7} for i in range(40)]
    task = load_evaluation(TaskSpec(source=str(write("n.jsonl", scores)), scored_rows=1))
    assert (task.kind, len(task.splits["test"])) == ("regression", 1)


def test_unlabelled_test_rows_stay(write: Write, folder: Path) -> None:
    write("mail/test.jsonl", [{"text": f"hidden {i}"} for i in range(30)])
    assert len(load_task(TaskSpec(source=str(folder.parent), scored_rows=4)).splits["test"]) == 30


def test_fewer_rows_than_classes(folder: Path) -> None:
    with pytest.raises(HoldfastError, match=r"mail: scored_rows is 1 .* 2 classes, .* give at least 2"):
        load_task(TaskSpec(source=str(folder.parent), scored_rows=1))
