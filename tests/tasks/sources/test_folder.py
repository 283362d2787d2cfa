"""Which file of a folder is which split, and what is told of the others."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.scoring.evaluation import load_evaluation
from tasks.conftest import Write, spam


def csv(start: int, stop: int) -> str:
    return "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in spam(stop)[start:])


def numbers(texts: list[str]) -> list[int]:
    return [int(text.split()[-1]) for text in texts]


def load(write: Write, files: dict[str, Any], **options: Any) -> Any:
    for name, content in files.items():
        write(f"mail/{name}", content)
    return load_task(TaskSpec(source=str(write("mail/.hidden", "x").parent), **options))


def refusal(write: Write, files: dict[str, Any]) -> str:
    with pytest.raises(HoldfastError) as error:
        load(write, files)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train.csv", "eval.csv", "test.csv"),
        ("Training.CSV", "DEV.Csv", "Testing.csv"),
        ("training.csv", "validate.csv", None),
        ("train.csv", "evaluation.csv", None),
        ("train.csv", "devel.csv", None),
        ("train.csv", "validation_matched.csv", None),
        ("sst2_train.csv", "sst2_dev.csv", "sst2_test.csv"),
        ("train-clean.csv", "val-clean.csv", None),
        ("my.train.v2.csv", "my.valid.v2.csv", None),
        ("train2023.csv", "eval2023.csv", None),
        ("train-00000-of-00001.csv", "validation-00000-of-00001-0a1b2c3d4e5f6071.csv", None),
        ("data/train-00000-of-00001.csv", "data/test-00000-of-00001.csv", None),
    ],
)
def test_names_of_splits(write: Write, train: str, validation: str, test: str | None) -> None:
    files = {train: csv(0, 10), validation: csv(10, 14)} | ({test: csv(14, 16)} if test else {})
    task = load(write, files)
    second = "test" if validation.startswith("data/test") else "validation"
    rest = sum(len(split) for name, split in task.splits.items() if name != second and name != "test")
    assert rest == 10
    assert numbers(task.splits[second].texts) == [10, 11, 12, 13]
    assert not test or numbers(task.splits["test"].texts) == [14, 15]
    (told,) = [note for note in task.notes if f"train '{Path(train).name}'" in note]
    assert f"{second} '{Path(validation).name}'" in told
    assert "left out" not in told


def test_what_is_left_out_is_named(write: Write) -> None:
    others = ["README.md", "notes.xlsx", "test_unlabeled.csv", "train_dev.csv", "validation_mismatched.csv"]
    task = load(write, {"train.csv": csv(0, 10), "test.csv": csv(10, 12)} | dict.fromkeys(others, "text\nx\n"))
    (told,) = [note for note in task.notes if "left out" in note]
    assert told.endswith("left out " + ", ".join(f"'{name}'" for name in others))
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 8, "validation": 2, "test": 2}


def test_shards_in_the_order_of_their_numbers(write: Write) -> None:
    first, last = csv(0, 7), csv(7, 20)
    shards = {"train-00001-of-00002.csv": last, "train-00000-of-00002.csv": first, "test.csv": csv(20, 22)}
    whole = load(write, shards).splits["train"]
    assert sorted(numbers(whole.texts)) == numbers(whole.texts)
    write("one/train.csv", csv(0, 20))
    alone = load_task(TaskSpec(source=str(write("one/test.csv", csv(20, 22)).parent)))
    assert alone.splits["train"] == whole
    counted = {
        "train_1-of-2.csv.gz": gzip.compress(first.encode()),
        "train_2-of-2.csv.gz": gzip.compress(last.encode()),
    }
    for name, content in counted.items():
        write(f"two/{name}", content)
    assert load_task(TaskSpec(source=str(write("two/test.csv", csv(20, 22)).parent))).splits["train"] == whole


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (
            ["train-00000-of-00003.csv", "train-00002-of-00003.csv"],
            "of 3 shards 'train-00001-of-00003.csv' are missing",
        ),
        (["Train_2-of-2.CSV"], "of 2 shards 'Train_1-of-2.CSV' are missing"),
        (["train-0-of-1.csv", "train-0-of-2.csv"], "could each be the train split"),
        (["train-0-of-1.csv", "train.csv"], "could each be the train split"),
        (["train.csv", "training.csv"], "'train.csv', 'training.csv' could each be the train split; keep one"),
        (["train.csv", "dev.csv", "eval.csv"], "'dev.csv', 'eval.csv' could each be the validation split"),
        (["train.csv", "train.csv.gz"], "could each be the train split"),
        (["a_train.csv", "b_train.csv"], "'a_train.csv', 'b_train.csv' could each be the train split"),
        (["train_dev.csv"], "no train file in this folder, only 'train_dev.csv'"),
        (["part/rows.csv"], "no data file at all, and the folders 'part'"),
        (["train.xlsx", "test.csv"], "train.xlsx: '.xlsx' is a spreadsheet: save its sheet as CSV"),
        (["train.txt"], "train.txt: '.txt' is plain text"),
        (["dataset_dict.json", "train/data-00000-of-00001.arrow"], "what Dataset.save_to_disk writes"),
    ],
)
def test_folders_that_leave_a_question(write: Write, names: list[str], part: str) -> None:
    assert part in refusal(write, dict.fromkeys(names, csv(0, 10)))


def test_shards_with_other_columns(write: Write) -> None:
    said = refusal(write, {"train-0-of-2.csv": csv(0, 10), "train-1-of-2.csv": "text,class\na,b\n"})
    assert "train-1-of-2.csv: its columns are 'text', 'class' and those of" in said


def test_a_shard_by_itself_is_told(write: Write) -> None:
    path = write("train-00000-of-00002.csv", csv(0, 10))
    assert any("one of 2 shards; give the folder to read all" in n for n in load_task(TaskSpec(source=str(path))).notes)


def test_an_option_goes_before_the_folder_s_file(write: Write) -> None:
    other = write("other.csv", csv(10, 13))
    task = load(write, {"train.csv": csv(0, 10), "eval.csv": csv(13, 20)}, validation=str(other))
    assert numbers(task.splits["validation"].texts) == [10, 11, 12]
    assert any("validation 'other.csv'" in note and "left out 'eval.csv'" in note for note in task.notes)


def test_rows_to_score_are_found_by_the_same_names(write: Write) -> None:
    folder = write("mail/eval-0-of-1.json", json.dumps(spam(4))).parent
    assert load_evaluation(TaskSpec(source=str(folder))).scored_split == "validation"
    write("none/trainer_state.json", "{}")
    with pytest.raises(HoldfastError, match="no test or validation file to score in this folder, only 'trainer_state"):
        load_evaluation(TaskSpec(source=str(folder.parent / "none")))
