"""Which column of a file of words holds what: each layout is written here from one list of sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.sources.conll import read_conll

Load = Callable[..., Any]
Write = Callable[..., Path]

SENTENCES = [
    [("Ann", "NNP", "B-NP", "B-PER"), ("Lee", "NNP", "I-NP", "I-PER"), ("left", "VBD", "B-VP", "O")],
    [("She", "PRP", "B-NP", "O"), ("saw", "VBD", "B-VP", "O"), ("Oslo", "NNP", "B-NP", "B-LOC"), (".", ".", "O", "O")],
    [("Rain", "NN", "B-NP", "O")],
    [("Oslo", "NNP", "B-NP", "B-LOC"), ("slept", "VBD", "B-VP", "O")],
] * 3
WORDS = [[word for word, *_ in sentence] for sentence in SENTENCES]
PARTS = [[part for _, part, *_ in sentence] for sentence in SENTENCES]
CHUNKS = [[chunk for *_, chunk, _ in sentence] for sentence in SENTENCES]
ALL_WORDS = {word for row in WORDS for word in row}
NAMES = [[name for *_, name in sentence] for sentence in SENTENCES]


def lay(line: Callable[..., str], above: str = "") -> str:
    """Write every word as ``line(number in its sentence, sentence's number, word, part, chunk, name)``."""
    return "\n\n".join(
        above + "\n".join(line(i, s, *cells) for i, cells in enumerate(sentence, start=1))
        for s, sentence in enumerate(SENTENCES)
    )


def words_of(task: Any) -> set[str]:
    return {word for split in task.splits.values() for row in split.words for word in row}


LAYOUTS = {
    "word, class": (lambda i, s, w, p, c, n: f"{w} {n}", {"tags": NAMES}),
    "class, word": (lambda i, s, w, p, c, n: f"{n}\t{w}", {"tags": NAMES}),
    "word, part of speech": (lambda i, s, w, p, c, n: f"{w}\t{p}", {"tags": PARTS}),
    "number, word, class": (lambda i, s, w, p, c, n: f"{i} {w} {n}", {"tags": NAMES}),
    "number from 0, word, class": (lambda i, s, w, p, c, n: f"{i - 1} {w} {n}", {"tags": NAMES}),
    "sentence, number, word, class": (lambda i, s, w, p, c, n: f"{s}\t{i}\t{w}\t{n}", {"tags": NAMES}),
    "sentence-number, characters, word, class": (
        lambda i, s, w, p, c, n: f"{s}-{i}\t{4 * i}-{4 * i + 3}\t{w}\t{n}",
        {"tags": NAMES},
    ),
    "number, word, class, annotator": (lambda i, s, w, p, c, n: f"{i}\t{w}\t{n}\t-\tkim", {"tags": NAMES}),
    "CoNLL-2000": (lambda i, s, w, p, c, n: f"{w} {p} {c}", {"pos_tags": PARTS, "tags": CHUNKS}),
    "CoNLL-2003": (
        lambda i, s, w, p, c, n: f"{w} {p} {c} {n}",
        {"pos_tags": PARTS, "chunk_tags": CHUNKS, "ner_tags": NAMES},
    ),
    "CoNLL-2003, nothing said in between": (lambda i, s, w, p, c, n: f"{w} -X- _ {n}", {"tags": NAMES}),
    "GermEval": (
        lambda i, s, w, p, c, n: f"{i}\t{w}\t{n}\tO",
        {"ner_tags": NAMES, "nested_ner_tags": [["O"] * len(row) for row in NAMES]},
    ),
    "types alone": (
        lambda i, s, w, p, c, n: f"{w} {p} {n[2:] or 'O'}",
        {"pos_tags": PARTS, "tags": [[name[2:] or "O" for name in row] for row in NAMES]},
    ),
    "type before place": (
        lambda i, s, w, p, c, n: f"{i} {w} {'-'.join(n.split('-')[::-1])}",
        {"tags": [["-".join(name.split("-")[::-1]) for name in row] for row in NAMES]},
    ),
    "nothing said outside": (lambda i, s, w, p, c, n: f"{w} {'_' if n == 'O' else n}", {"tags": NAMES}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_words_are_words_and_classes_have_their_names(layout: str) -> None:
    line, columns = LAYOUTS[layout]
    table = read_conll("f.conll", lay(line))
    assert table.columns["tokens"] == WORDS
    assert {name: table.columns[name] for name in columns} == columns


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_learned_is_told_with_the_option_for_others(load: Load, layout: str) -> None:
    line, columns = LAYOUTS[layout]
    task = load(lay(line), "f.conll", holdout=0.25)
    learned = "ner_tags" if "ner_tags" in columns else "tags"
    assert any(f"words: column 'tokens', classes: column {learned!r}" in note for note in task.notes)
    assert words_of(task) == ALL_WORDS
    told = [note for note in task.notes if "--label" in note]
    for other in columns.keys() - {learned}:
        assert other in told[0]


def conllu(i: int, s: int, word: str, part: str, chunk: str, name: str, misc: str = "_", upos: str = "") -> str:
    return f"{i}\t{word}\t{word.lower()}\t{upos or part}\t_\t_\t{i - 1}\tdep\t_\t{misc}"


def test_conllu_is_known_with_its_lines_that_are_no_words(load: Load) -> None:
    text = lay(conllu, above="# sent_id = 1\n# text = a b c d e f g h _\n")
    text = text.replace("2\tLee", "2-3\tLeeleft\t_\t_\t_\t_\t_\t_\t_\t_\n2\tLee").replace(
        "3\tOslo", "2.1\tnot\t_\t_\t_\t_\t_\t_\t_\t_\n3\tOslo"
    )
    table = read_conll("f.conllu", text)
    assert (table.columns["tokens"], table.columns["upos"]) == (WORDS, PARTS)
    assert "xpos" not in table.columns
    told = " ".join(table.notes)
    assert "24 comment lines" in told
    assert "3 multi-word tokens left out" in told
    assert "3 empty nodes left out" in told
    task = load(text, "f.conllu", holdout=0.25)
    assert any("classes: column 'upos'" in note for note in task.notes)


def test_names_in_misc_beside_parts_of_speech_are_asked_about(load: Load) -> None:
    def line(i: int, s: int, *cells: str) -> str:
        return conllu(i, s, *cells, misc=f"SpaceAfter=No|name={cells[-1]}")

    with pytest.raises(HoldfastError, match="give --label upos or --label name"):
        load(lay(line), "f.conllu")
    assert load(lay(line), "g.conllu", label="name", holdout=0.25).label_names == ("O", "B-LOC", "B-PER", "I-PER")
    assert "VBD" in load(lay(line), "h.conllu", label="upos", holdout=0.25).label_names

    def names_alone(i: int, s: int, *cells: str) -> str:
        return conllu(i, s, *cells, misc=f"Entity={cells[-1]}" if cells[-1] != "O" else "SpaceAfter=No", upos="_")

    table = read_conll("f.conllu", lay(names_alone))
    assert table.columns["Entity"] == NAMES
    assert any("18 words of which column 'Entity' says nothing are read as O" in note for note in table.notes)


def test_words_without_a_part_of_speech_are_refused(load: Load) -> None:
    text = lay(conllu).replace("left\tleft\tVBD", "left\tleft\t_")
    with pytest.raises(HoldfastError, match="'upos' has _, which stands for no class, in lines 1, "):
        load(text, "f.conllu")


def test_conllu_plus_says_its_columns() -> None:
    text = "# global.columns = ID FORM UPOS PARSEME:MWE\n" + lay(lambda i, s, w, p, c, n: f"{i}\t{w}\t{p}\t*")
    table = read_conll("f.conllup", text)
    assert list(table.columns) == ["column 1", "tokens", "upos", "parseme:mwe"]
    assert (table.columns["tokens"], table.columns["upos"]) == (WORDS, PARTS)


def test_ontonotes_brackets_become_classes() -> None:
    def line(i: int, s: int, word: str, part: str, chunk: str, name: str) -> str:
        bracket = {"B-PER": "(PER*", "I-PER": "*)", "B-LOC": "(LOC)", "O": "*"}[name]
        return f"bc/x  0  {i - 1}  {word}  {part}  (S*  -  -  -  kim  {bracket}" + "  *" * (s % 3) + "  -"

    text = "#begin document (bc/x); part 000\n" + lay(line) + "\n\n#end document\n"
    table = read_conll("f.conll", text)
    assert (table.columns["tokens"], table.columns["pos_tags"], table.columns["ner_tags"]) == (WORDS, PARTS, NAMES)


@pytest.mark.parametrize(
    "line",
    [
        lambda i, s, w, p, c, n: f"{w} {w.lower()} {p}",
        lambda i, s, w, p, c, n: f"{w} {n} {n}",
        lambda i, s, w, p, c, n: f"{p} {w}",
        lambda i, s, w, p, c, n: f"{n} {w} {p}",
    ],
)
def test_what_nothing_tells_is_asked_for_by_option(load: Load, line: Callable[..., str]) -> None:
    with pytest.raises(HoldfastError, match=r"cannot tell which column .*'column 2' \(.*: name it with --(text|label)"):
        load(lay(line), "f.conll")
    cells = line(1, 0, "WORD", "PART", "CHUNK", "NAME").split()
    text = f"column {cells.index('WORD') + 1}"
    options = {"text": text if text in read_conll("f", lay(line)).columns else "tokens"}
    options["label"] = "column 1" if cells[0] != "WORD" else f"column {len(cells)}"
    task = load(lay(line), "g.conll", holdout=0.25, **options)
    assert words_of(task) == ALL_WORDS


def test_numbers_are_never_words() -> None:
    with pytest.raises(HoldfastError, match="numbers and classes, and no words"):
        read_conll("f.conll", lay(lambda i, s, w, p, c, n: f"{i} {n}"))


def test_a_tsv_of_words_is_known_by_its_empty_lines(load: Load) -> None:
    text = lay(LAYOUTS["GermEval"][0], above="#\tdoc\n")
    assert load(text, "f.tsv", holdout=0.25).fingerprint == load(text, "f.conll", holdout=0.25).fingerprint
    rows = "text\tlabel\n" + "".join(f"some text {i}\t{'B-x' if i % 2 else 'O'}\n\n" for i in range(20))
    assert load(rows, "g.tsv").kind == "classification"


def test_numbers_that_begin_anew_begin_a_sentence() -> None:
    text = lay(lambda i, s, w, p, c, n: f"{i}\t{w}\t{n}").replace("\n\n", "\n")
    table = read_conll("f.conll", text)
    assert (table.columns["tokens"], table.columns["tags"]) == (WORDS, NAMES)
    assert table.notes[0] == "f.conll: 11 of the sentences begin where the numbers begin anew, without an empty line"


@pytest.mark.parametrize("text", ["#one\n#two\n# a comment\n1\n\n2024\n", "#one\n#two\n#\tdoc\n1\n\n2024\n"])
def test_words_alone_are_words_without_classes(text: str) -> None:
    table = read_conll("f.conll", text)
    assert table.columns == {"tokens": [["#one", "#two", "1"], ["2024"]]}
    assert "1 comment line left out" in table.notes[0]


def test_numbers_that_count_nothing_are_words() -> None:
    text = "1 B-NUM\n9 I-NUM\n\n2024 B-NUM\n7 O\n"
    assert read_conll("f.conll", text).columns["tokens"] == [["1", "9"], ["2024", "7"]]


def test_a_space_that_does_not_break_stays_in_its_word() -> None:
    assert read_conll("f.conll", "10\u00a0000 B-NUM\nwon O\n").columns["tokens"] == [["10\u00a0000", "won"]]


def test_splits_are_read_in_the_training_file_s_layout(write: Write) -> None:
    write("d/train.conll", lay(lambda i, s, w, p, c, n: f"{w} {p} {c} {n}"))
    write("d/dev.conll", "Rain NN O O\nfell VBD O O\n")
    folder = write("d/test.conll", "Ann\nleft\n").parent
    task = load_task(TaskSpec(source=str(folder)))
    assert task.splits["validation"].tags == [[0, 0]]
    assert task.splits["test"].words == [["Ann", "left"]]
    assert task.splits["test"].labels is None
