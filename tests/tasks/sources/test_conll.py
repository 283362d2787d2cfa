"""CoNLL files: columns, sentences, comments, and lines that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.sources.conll import read_conll

CONLL2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


def read(text: str, tags: str = "tags") -> Any:
    table = read_conll("f.conll", text)
    return list(zip(table.columns["tokens"], table.columns[tags], table.rows, strict=True))


def test_words_and_classes_of_each_sentence_with_its_line() -> None:
    assert read(CONLL2003, "ner_tags") == [
        (["EU", "rejects"], ["B-ORG", "O"], 3),
        (["Peter", "Blackburn"], ["B-PER", "I-PER"], 6),
    ]
    for ends in ("\r\n", "\r"):
        assert read(CONLL2003.replace(" ", "\t").replace("\n", ends), "ner_tags") == read(CONLL2003, "ner_tags")


def test_a_space_inside_a_tabbed_word_stays() -> None:
    assert read("New York\tB-LOC\nis\tO\n") == [(["New York", "is"], ["B-LOC", "O"], 1)]


@pytest.mark.parametrize("comment", ["# sent_id = 1", "#", "# id 7 _", "#2\tdomain=news"])
def test_comments_are_left_out_and_told(comment: str) -> None:
    table = read_conll("f.conll", f"{comment}\nEU _ B-ORG\n{comment}\nwins _ O\n")
    assert table.columns["tokens"] == [["EU", "wins"]]
    assert table.notes[0] == "f.conll: 2 comment lines left out"


def test_words_that_begin_with_a_hash_are_words() -> None:
    assert read("EU B-ORG\n#wins O\n# O\nO O\n\n#EU B-ORG\n") == [
        (["EU", "#wins", "#", "O"], ["B-ORG", "O", "O", "O"], 1),
        (["#EU"], ["B-ORG"], 6),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EU B-ORG\nwins\n", "f.conll: line 2 holds 'wins' alone; write a word and its class a line"),
        ("EU _ B-ORG\n\nit wins O O\n", "f.conll: line 3 has 4 columns and the first word's line 3; "),
        ("EU\tB-ORG\n\tO\n", "f.conll: line 2 has no word; write both"),
        ("EU\tx\tB-ORG\nwins\tO\t\n", "f.conll: line 2 has 2 columns"),
        ("-DOCSTART- O\n\n", "f.conll: it holds no words"),
        ("# only this\n", "f.conll: it holds no words"),
    ],
)
def test_lines_that_do_not_fit_are_named(text: str, message: str) -> None:
    with pytest.raises(HoldfastError) as error:
        read_conll("f.conll", text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["conll", "conllu", "bio", "iob", "iob2"])
def test_such_a_file_is_a_task_of_words(load: Callable[..., Any], ending: str) -> None:
    text = "".join(f"Ann{i} B-PER\nwins O\n\n" for i in range(10))
    task = load(text, f"names.{ending}")
    assert (task.kind, task.metrics, task.label_names) == ("tokens", ("entity_f1", "accuracy"), ("O", "B-PER"))
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 8, "validation": 2}
    assert task.splits["train"].tags == [[1, 0]] * 8
