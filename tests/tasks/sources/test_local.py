from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.task import Task
from tasks.conftest import Write, everything, rows_of, spam

Load = Callable[..., Task]


def as_delimited(rows: list[dict[str, Any]], delimiter: str) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_all_file_types_give_the_same_rows(load: Load, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = spam(30)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "d.parquet")
    tasks = [
        load(as_delimited(rows, ","), "a.csv"),
        load(as_delimited(rows, "\t"), "b.tsv"),
        load(rows, "c.jsonl"),
        load_task(TaskSpec(source=str(tmp_path / "d.parquet"))),
    ]
    assert [task.name for task in tasks] == ["a", "b", "c", "d"]
    assert len({task.fingerprint for task in tasks}) == 1
    assert sorted(everything(tasks[0])) == sorted((row["text"], None, int(row["label"] == "spam")) for row in rows)
    for task in tasks:
        assert (task.label_names, task.metrics) == (("ham", "spam"), ("accuracy", "f1"))
        assert any("6 of 30 training rows held out" in note for note in task.notes)


def test_the_fingerprint_follows_the_rows(load: Load) -> None:
    rows = spam(30)
    base = load(rows, "a.jsonl").fingerprint
    for field, value in (("text", "changed"), ("label", "spam")):
        changed = [dict(row) for row in rows]
        changed[0][field] = value
        assert load(changed, "a.jsonl").fingerprint != base
    assert load(rows, "a.jsonl", holdout=0.3).fingerprint != base
    assert load(rows, "renamed.jsonl").fingerprint == base


def test_three_classes_and_pairs(load: Load) -> None:
    rows = [{"premise": f"p {i}", "hypothesis": f"h {i}", "label": i % 3} for i in range(30)]
    task = load(rows, "nli.jsonl")
    assert (task.label_names, task.metrics, task.num_outputs) == (("0", "1", "2"), ("accuracy", "macro_f1"), 3)
    assert {(int(a[2:]), int((b or "")[2:]), c) for a, b, c in everything(task)} == {(i, i, i % 3) for i in range(30)}


def test_regression(load: Load) -> None:
    task = load([{"text": f"text {i}", "score": i / 8} for i in range(40)], "a.jsonl")
    assert (task.kind, task.label_names, task.metrics, task.num_outputs) == (
        "regression",
        (),
        ("pearson", "spearman"),
        1,
    )
    assert sorted(label for *_, label in everything(task)) == [i / 8 for i in range(40)]
    assert any("regression" in note for note in task.notes)


@pytest.mark.parametrize("stem", ["validation", "valid", "dev", "Val"])
def test_a_folder_of_splits(write: Write, stem: str) -> None:
    write("mail/train.csv", as_delimited(spam(10), ","))
    write(f"mail/{stem}.jsonl", [{"text": "new one", "label": "spam"}, {"text": "new two", "label": "ham"}])
    folder = write("mail/test.tsv", "text\nunseen one\nunseen two\n").parent
    task = load_task(TaskSpec(source=str(folder)))
    assert task.name == "mail"
    assert rows_of(task.splits["validation"]) == [("new one", None, 1), ("new two", None, 0)]
    assert len(task.splits["train"]) == 10
    assert task.splits["test"].texts == ["unseen one", "unseen two"]
    assert task.splits["test"].labels is None
    assert task.scored_split == "validation"


def test_separate_validation_and_test_files(write: Write) -> None:
    train = write("a.csv", as_delimited(spam(10), ","))
    other = write("b.jsonl", [{"text": "x", "label": "spam"}, {"text": "y", "label": "ham"}])
    task = load_task(TaskSpec(source=str(train), validation=str(other), test=str(other)))
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 10, "validation": 2, "test": 2}
    assert task.scored_split == "test"
    assert not any("held out" in note for note in task.notes)


def test_row_names_come_from_an_id_column_when_unique(load: Load) -> None:
    rows = spam(10)
    named = load([{"id": f"t{i}", **row} for i, row in enumerate(rows)], "a.jsonl")
    assert {name for split in named.splits.values() for name in split.ids} == {f"t{i}" for i in range(10)}
    repeated = load([{"id": "same", **row} for row in rows], "b.jsonl")
    assert {name for split in repeated.splits.values() for name in split.ids} == {str(i) for i in range(10)}


def test_overlap_is_counted_whatever_case_and_spaces(write: Write) -> None:
    train = write("train.jsonl", spam(10))
    shared = [{"text": "MESSAGE  number 3 ", "label": "ham"}, {"text": "message number 4", "label": "spam"}]
    other = write("other.jsonl", [*shared, {"text": "new", "label": "spam"}])
    task = load_task(TaskSpec(source=str(train), validation=str(other)))
    assert [w for w in task.warnings if w.startswith("2 of 3 validation rows")]


def test_pairs_overlap_only_when_both_texts_do(write: Write) -> None:
    def rows(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        return [{"premise": a, "hypothesis": b, "label": i % 2} for i, (a, b) in enumerate(pairs)]

    train = write("train.jsonl", rows([("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]))
    other = write("other.jsonl", rows([("A", "B"), ("a", "d"), ("b", "a")]))
    task = load_task(TaskSpec(source=str(train), validation=str(other)))
    assert [w for w in task.warnings if w.startswith("1 of 3 validation rows")]


def test_thin_and_doubtful_classes_are_warned_of(load: Load) -> None:
    rows = [*spam(20), {"text": "just one", "label": "Spam"}]
    task = load(rows, "a.jsonl")
    told = " ".join(task.warnings)
    assert "class 'Spam' has a single training row" in told
    assert "'Spam', 'spam' differ only in case" in told
    assert "validation has no row of 'Spam'" in told
    assert ("just one", None, 0) in rows_of(task.splits["train"])


GOOD = "one good text,a\nanother text,b\nthird text here,a\nfourth text here,b\n"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            "text,label\n" + GOOD + ",a\n  ,b\n",
            ["column 'text' has no text in lines 6, 7 (2 of 6 rows: 2 empty)", "--read missing=drop"],
        ),
        ("text,label\n" + GOOD + "no label,\n", ["column 'label' has no label", "line 6"]),
        ("text,label\n" + GOOD.replace(",b", ",a"), ["one class, 'a'"]),
        ("text,label\n" + "a text,x\nb text,y\nc text,z\n", ["label of its own", "--label"]),
        ("text,label\nthe same,a\nThe  same,b\nthe same,a\n", ["no validation rows can be held out", "--validation"]),
    ],
)
def test_rows_that_cannot_be_trained_on(load: Load, content: str, parts: list[str]) -> None:
    with pytest.raises(HoldfastError) as error:
        load(content)
    for part in ["tickets.csv", *parts]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{"text": 3, "label": 1}], "holds int values instead of text"),
        ([{"text": ["a"], "label": 1}], "holds list values instead of text"),
        ([{"text": None, "label": 1}], "has no text in line 5"),
        ([{"text": "cut \ud83d", "label": 1}], "surrogate"),
    ],
)
def test_texts_that_are_none(load: Load, rows: list[dict[str, Any]], part: str) -> None:
    good = [{"text": f"text {i}", "label": i % 2} for i in range(4)]
    with pytest.raises(HoldfastError, match=r"line 5") as error:
        load([*good, *rows], "a.jsonl", text="text")
    assert part in str(error.value)


def test_empty_second_texts_are_refused(load: Load) -> None:
    rows = [{"premise": f"p {i}", "hypothesis": "" if i == 3 else f"h {i}", "label": i % 2} for i in range(10)]
    with pytest.raises(HoldfastError, match=r"column 'hypothesis' has no second text in line 4 \(1 of 10"):
        load(rows, "a.jsonl")


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{"text": "x", "label": "eggs"}], "label 'eggs'"),
        ([{"text": "x"}], "no column 'label'"),
        ([{"body": "x", "label": "spam"}], "no column 'text'"),
        ([{"text": "x", "label": None}], "no label in line 1"),
    ],
)
def test_a_validation_file_that_does_not_fit(write: Write, rows: list[dict[str, Any]], part: str) -> None:
    train, other = write("train.jsonl", spam(10)), write("other.jsonl", rows)
    with pytest.raises(HoldfastError) as error:
        load_task(TaskSpec(source=str(train), validation=str(other)))
    assert part in str(error.value)
    assert "other.jsonl" in str(error.value)


def test_a_label_seen_only_in_test_is_refused(write: Write) -> None:
    train, other = write("train.jsonl", spam(10)), write("other.jsonl", [{"text": "x", "label": "eggs"}])
    with pytest.raises(HoldfastError, match=r"other\.jsonl: label 'eggs'"):
        load_task(TaskSpec(source=str(train), test=str(other)))


def test_folders_without_one_training_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write("two/train.csv", "text,label\na,b\n")
    write("two/train.jsonl", spam(3))
    write("none/rows.csv", "text,label\na,b\n")
    for folder, parts in (
        ("empty", ["no data file"]),
        ("two", ["'train.csv', 'train.jsonl'"]),
        ("none", ["'rows.csv'"]),
    ):
        with pytest.raises(HoldfastError) as error:
            load_task(TaskSpec(source=str(tmp_path / folder)))
        for part in [str(tmp_path / folder), *parts]:
            assert part in str(error.value)


def test_options_that_do_not_apply_or_files_that_are_not_there(write: Write) -> None:
    source = str(write("a.jsonl", spam(10)))
    for options, part in (
        ({"size": 100}, "--size does not apply"),
        ({"validation": "nowhere.csv"}, "--validation nowhere.csv: no such file"),
    ):
        with pytest.raises(HoldfastError, match=part):
            load_task(TaskSpec(source=source, **options))


def test_labels_are_balanced_in_the_held_out_rows(load: Load) -> None:
    rows = [{"text": f"text {i}", "label": "rare" if i % 10 == 0 else "common"} for i in range(200)]
    counts = Counter(load(rows, "a.jsonl").splits["validation"].labels)
    assert counts == {0: 36, 1: 4}
