"""Tasks that are only scored: which rows, which classes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.scoring.evaluation import load_evaluation
from tasks.conftest import Write, rows_of, spam

NLI = [{"premise": f"fact {i}", "hypothesis": f"claim {i}", "label": i % 3, "idx": i} for i in range(12)]


def unlabelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "label": -1} for row in rows]


@pytest.mark.parametrize(
    ("files", "split", "rows"),
    [
        ({"train": NLI, "validation": NLI[:6], "test": NLI[:9]}, "test", 9),
        ({"test": NLI[:9]}, "test", 9),
        ({"validation": NLI[:6], "test": unlabelled(NLI)}, "validation", 6),
        ({"train": NLI, "validation": NLI[:6]}, "validation", 6),
        ({"test": [*NLI[:6], *unlabelled(NLI[6:])]}, "test", 6),
    ],
)
def test_named_tasks_give_the_labelled_test_rows_else_validation(
    write: Write, files: dict[str, list[dict[str, Any]]], split: str, rows: int
) -> None:
    for name, content in files.items():
        folder = write(f"snli/{name}.jsonl", content).parent.parent
    task = load_evaluation(TaskSpec(source="snli"), folder)
    assert list(task.splits) == [task.scored_split] == [split]
    assert rows_of(task.splits[split]) == [(f"fact {i}", f"claim {i}", i % 3) for i in range(rows)]
    assert task.label_names == ("entailment", "neutral", "contradiction")
    assert len(task.fingerprint) == 64


def test_the_mismatched_rows_of_mnli_have_a_name_of_their_own(write: Write) -> None:
    write("mnli/validation.jsonl", NLI[:3])
    with pytest.raises(HoldfastError, match=r"mnli_mm: .*add mnli/validation_mismatched\.jsonl"):
        load_evaluation(TaskSpec(source="mnli_mm"), write("mnli/train.jsonl", NLI).parent.parent)
    folder = write("mnli/validation_mismatched.jsonl", NLI[6:]).parent.parent
    task = load_evaluation(TaskSpec(source="mnli_mm"), folder)
    assert (task.name, task.splits[task.scored_split].ids) == ("mnli_mm", [str(i) for i in range(6, 12)])
    assert len(load_evaluation(TaskSpec(source="mnli"), folder).splits["validation"]) == 3
    with pytest.raises(HoldfastError, match=r"train on mnli, .* --ood"):
        load_task(TaskSpec(source="mnli_mm"), folder)


def test_a_file_alone_is_what_is_scored(write: Write) -> None:
    path = write("tickets.csv", "text,label\nIt broke,bug\nMore colours,wish\nIt hangs,bug\n")
    task = load_evaluation(TaskSpec(source=str(path)))
    assert (task.name, task.label_names, task.kind) == ("tickets", ("bug", "wish"), "classification")
    assert rows_of(task.splits["test"]) == [("It broke", None, 0), ("More colours", None, 1), ("It hangs", None, 0)]
    scored = load_evaluation(TaskSpec(source=str(path), test=str(write("new.csv", "text,label\na b,wish\nc d,bug\n"))))
    # The file beside it says which classes there are.
    assert rows_of(scored.splits["test"]) == [("a b", None, 1), ("c d", None, 0)]


@pytest.mark.parametrize(
    ("files", "split"),
    [
        ({"train": spam(8), "dev": spam(4)}, "validation"),
        ({"dev": spam(4), "test": [{"text": "hidden"}]}, "validation"),
        ({"test": spam(4)}, "test"),
        ({"dev": spam(2), "test": [*spam(3), {"text": "new", "label": "ad"}]}, "test"),
    ],
)
def test_folders(write: Write, files: dict[str, list[dict[str, Any]]], split: str) -> None:
    for name, content in files.items():
        folder = write(f"mail/{name}.jsonl", content).parent
    task = load_evaluation(TaskSpec(source=str(folder)))
    assert (task.name, list(task.splits)) == ("mail", [split])
    assert [task.label_names[int(label)] for label in task.splits[split].labels or ()] == [
        row["label"] for row in files["test" if split == "test" else "dev"]
    ]


def test_generated_tasks_give_their_test_rows() -> None:
    task = load_evaluation(TaskSpec(source="playground/negation"))
    assert list(task.splits) == ["test"]
    assert task.splits["test"] == load_task(TaskSpec(source="playground/negation")).splits["test"]


Serve = Callable[..., None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Let the hub serve one data set, whatever is asked for."""

    def _serve(**splits: Dataset) -> None:
        monkeypatch.setattr(datasets, "load_dataset", lambda path, name: DatasetDict(splits))

    return _serve


def test_hub_data_without_a_training_split(serve: Serve) -> None:
    rows = [{"text": f"row {i}", "label": i % 2} for i in range(6)]
    features = Features({**Dataset.from_list(rows).features, "label": ClassLabel(names=["no", "yes"])})
    serve(test=Dataset.from_list([*rows, {"text": "disputed", "label": -1}], features=features))
    task = load_evaluation(TaskSpec(source="org/held-out"))
    assert (task.label_names, len(task.splits["test"])) == (("no", "yes"), 6)
    with pytest.raises(HoldfastError, match=r"no training split, only 'test'.*--ood"):
        load_task(TaskSpec(source="org/held-out"))
    serve(train=Dataset.from_list(rows))
    with pytest.raises(HoldfastError, match=r"org/x: .*no labelled test or validation rows.*'train'"):
        load_evaluation(TaskSpec(source="org/x"))
    serve(unsupervised=Dataset.from_list(rows))
    with pytest.raises(HoldfastError, match="only 'unsupervised'"):
        load_evaluation(TaskSpec(source="org/x"))


def test_named_tasks_of_the_hub_leave_out_rows_without_an_agreed_label(serve: Serve) -> None:
    serve(train=Dataset.from_list(NLI), test=Dataset.from_list([*NLI[:6], *unlabelled(NLI[6:8])]))
    task = load_evaluation(TaskSpec(source="snli"))
    assert len(task.splits["test"]) == 6
    assert "test: 2 rows without a label left out" in task.notes
    assert load_task(TaskSpec(source="snli")).scored_split == "test"


def test_the_fingerprint_is_that_of_the_scored_rows(write: Write) -> None:
    folder = write("snli/test.jsonl", NLI).parent.parent
    before = load_evaluation(TaskSpec(source="snli"), folder).fingerprint
    write("snli/train.jsonl", NLI[:3])
    assert load_evaluation(TaskSpec(source="snli"), folder).fingerprint == before
    write("snli/test.jsonl", NLI[:9])
    assert load_evaluation(TaskSpec(source="snli"), folder).fingerprint != before


def test_what_cannot_be_scored(write: Write, tmp_path: Path) -> None:
    write("snli/train.jsonl", NLI)
    write("rte/notes.txt", "x")
    write("sick/test.jsonl", unlabelled(NLI))
    write("mail/train.csv", "text,label\na,b\n")
    one = write("one.csv", "text,label\nfirst text,same\nsecond text,same\n")
    gap = write("gap.csv", "text,label\nfirst text,a\n,b\n")
    for source, part in (
        ("snli", r"has no test\.jsonl or validation\.jsonl to score \(it holds train\.jsonl\)"),
        ("rte", r"it holds no \.jsonl file"),
        ("sick", "sick: there are no labelled test or validation rows"),
        ("trec", r"trec: comes only from a local folder .*trec/test\.jsonl"),
        (str(tmp_path / "mail"), r"no test or validation file to score in this folder, only 'train\.csv'"),
        (str(one), r"one\.csv: the rows to score all have the same label"),
        (str(gap), r"gap\.csv: column 'text' has no text in line 3"),
        ("snly", "did you mean 'snli'"),
        ("", "name or path is empty"),
    ):
        with pytest.raises(HoldfastError, match=part) as error:
            load_evaluation(TaskSpec(source=source), tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["scitail", "xnli_sw"])
def test_training_on_a_task_without_training_rows_points_to_scoring_it(write: Write, name: str) -> None:
    folder = write(f"{name}/test.jsonl", NLI).parent.parent
    with pytest.raises(HoldfastError, match=rf"{name}: .* no train\.jsonl .*--ood"):
        load_task(TaskSpec(source=name), folder)
    with pytest.raises(HoldfastError, match=r"no train file .*--ood"):
        load_task(TaskSpec(source=str(folder / name)))
