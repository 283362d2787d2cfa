"""Files of texts and the texts to write for them."""

import json

import pytest

from holdfast import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks import load_task

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def rows(text="document", target="summary", count=12, **more):
    made = [{text: f"A text about number {word}.", target: f"about the number {word}"} for word in WORDS[:count]]
    return [{**row, **{name: values[i] for name, values in more.items()}} for i, row in enumerate(made)]


def load(folder, made, **options):
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return load_task(TaskSpec(source=str(path), **options))


@pytest.mark.parametrize(
    ("text", "target"),
    [("document", "summary"), ("article", "highlights"), ("prompt", "response"), ("Source", "Target")],
)
def test_the_field_s_column_names_are_known(tmp_path, text, target):
    task = load(tmp_path, rows(text, target))
    assert (task.kind, task.metrics, task.label_names) == ("generation", ("rougeL", "rouge1", "rouge2"), ())
    both = [*task.splits["train"].targets, *task.splits["validation"].targets]
    assert sorted(both) == sorted(row[target] for row in rows(text, target))
    assert any(text in note and target in note for note in task.notes)
    assert task.warnings == ()


def test_columns_of_other_names_are_named(tmp_path):
    made = rows("question_text", "long_answer")
    task = load(tmp_path, made, text="question_text", label="long_answer", kind="generation")
    assert task.splits["train"].targets[0].startswith("about the number")
    with pytest.raises(HoldfastError, match="name them with --text and --label"):
        load(tmp_path, made, kind="generation")


def test_several_texts_that_count_as_right(tmp_path):
    accepted = [[row["summary"], "a number"] for row in rows()]
    task = load(tmp_path, rows(references=accepted))
    for split in task.splits.values():
        assert split.accepted == [[target, "a number"] for target in split.targets]


@pytest.mark.parametrize("missing", [None, []])
def test_a_row_without_further_texts_has_its_own(tmp_path, missing):
    task = load(tmp_path, rows(references=[missing, *([row["summary"]] for row in rows()[1:])]))
    for split in task.splits.values():
        assert split.accepted == [[target] for target in split.targets]


@pytest.mark.parametrize("wrong", ["about the number five", ["about the number five", 3], [" "], ["another paper"]])
def test_what_is_no_list_of_texts_is_refused_by_its_row(tmp_path, wrong):
    accepted = [[row["summary"]] for row in rows()]
    accepted[4] = wrong
    with pytest.raises(HoldfastError, match=r"column 'references' is no list of texts, .* in line 5; correct it"):
        load(tmp_path, rows(references=accepted))


def test_one_text_for_all_rows_is_nothing_to_learn(tmp_path):
    made = [{**row, "summary": "always the same text here"} for row in rows()]
    with pytest.raises(HoldfastError, match="all training rows ask for the same text"):
        load(tmp_path, made, text="document", label="summary", kind="generation")


def test_empty_texts_are_refused_by_their_row(tmp_path):
    made = rows()
    made[2]["summary"] = "  "
    with pytest.raises(HoldfastError, match="'summary' has no text to write in line 3"):
        load(tmp_path, made)


def test_texts_that_rouge_cannot_read_are_counted(tmp_path):
    made = rows()
    for row in made[:3]:
        row["summary"] = f"संख्या के बारे में {'क' * (made.index(row) + 1)}"
    task = load(tmp_path, made)
    (told,) = [line for line in task.warnings if "ROUGE" in line]
    assert "3 of 12 texts to write have no Latin letter" in told
