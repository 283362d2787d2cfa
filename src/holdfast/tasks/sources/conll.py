"""Files of the CoNLL shared tasks and their kin: a word a line, an empty line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from holdfast.errors import HoldfastError
from holdfast.tasks.sources import conllu
from holdfast.tasks.sources.layouts import (
    TOKENS,
    bio_of_brackets,
    is_guessed,
    is_spans,
    names_of,
    outside,
    running,
    starts_of,
)
from holdfast.tasks.table import Table

_DOCUMENT = "-DOCSTART-"
_BEGIN_2012 = "#begin document"
_NAMES_2012 = tuple({3: TOKENS, 4: "pos_tags", 10: "ner_tags"}.get(place, f"column {place + 1}") for place in range(11))
"""Columns of CoNLL-2012 (OntoNotes); behind these come as many as the sentence has verbs, and coreference."""


def read_conll(place: str, text: str) -> Table:
    """Return a row for each sentence and a column of lists for each of the file's columns.

    The words' column is called ``tokens``; a number beside each word is not taken for it. The others get the field's
    names where the layout is a usual one (CoNLL-U, CoNLL-U Plus, CoNLL-2003, CoNLL-2012, GermEval 2014), ``tags``
    where only one can be the classes, and ``column 3`` where nothing tells. Notes say what was recognised.

    Columns stand apart by tabs, or in lines without any by spaces. Lines that begin a document are left out, and so
    are CoNLL-U's multi-word tokens and empty nodes, and comments: lines that begin with ``#`` and are no word, having
    another number of columns than the words or a last column that is the class of no other word. Raises
    ``HoldfastError`` naming the line that does not fit.
    """
    lines = dict(enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1))
    lines = {number: line.rstrip() for number, line in lines.items()}
    parts = {number: _cells(line) for number, line in lines.items() if line and not line.startswith(_DOCUMENT)}
    comments = _comments(place, lines, parts)
    words, remarks = conllu.left_out({number: cells for number, cells in parts.items() if number not in comments})
    if comments:
        remarks.insert(0, f"{len(comments)} comment line{'s' if len(comments) > 1 else ''} left out")
    comment_lines = [lines[number] for number in comments]
    if any(line.startswith(_BEGIN_2012) for line in comment_lines):
        words = {number: cells[: len(_NAMES_2012)] for number, cells in words.items()}
    width = len(next(iter(words.values())))
    for number, cells in words.items():
        _check(place, number, cells, width)
    sentences, more = _split(_sentences(lines, parts, words), words)
    if more:
        remarks.append(f"{more} of the sentences begin where the numbers begin anew, without an empty line")
    cells_of = [[[words[number][i] for number in sentence] for sentence in sentences] for i in range(width)]
    columns = _named(place, cells_of, comment_lines)
    for sentence, row in zip(sentences, columns.get(TOKENS, ()), strict=False):
        if "" in row:
            raise HoldfastError(f"{place}: line {sentence[row.index('')]} has no word; write both")
    for name in columns:
        columns[name], filled = outside(columns[name])
        if filled:
            remarks.append(f"{filled} words of which column {name!r} says nothing are read as O")
    notes = [f"{place}: {one}" for one in remarks]
    notes += _layout(place, columns)
    return Table(place, columns, [sentence[0] for sentence in sentences], notes=tuple(notes))


def is_conll(text: str) -> bool:
    """Whether tab-separated text is a word a line: sentences with empty lines between, and no header.

    Some column holds the classes of the words of spans from the first line on, B-PER or I-PER among them.
    """
    blocks = [block for block in re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n").strip()) if block]
    rows = [line.split("\t") for block in blocks for line in block.split("\n") if not line.startswith("#")]
    if len(blocks) < 2 or not rows or len({len(row) for row in rows}) > 1:
        return False
    return any(
        is_spans([column]) and is_spans([column[:1]]) and any(value.startswith(("B-", "I-")) for value in column)
        for column in zip(*rows, strict=True)
    )


def named_alike(first: Table, table: Table) -> Table:
    """Return ``table`` with the names of ``first``'s columns where both have as many without saying what they hold."""
    old, new = list(table.columns), list(first.columns)
    if old == new or len(old) != len(new) or not is_guessed(old) or not is_guessed(new):
        return table
    columns = dict(zip(new, table.columns.values(), strict=True))
    notes = [note for note in table.notes if note not in _layout(table.place, table.columns)]
    return replace(table, columns=columns, notes=(*notes, *_layout(table.place, columns)))


def _cells(line: str) -> list[str]:
    # Spaces alone: others, as in "10 000" with one that does not break, belong to their word.
    return [part.strip() for part in line.split("\t")] if "\t" in line else re.split(" +", line.strip(" "))


def _comments(place: str, lines: Mapping[int, str], parts: Mapping[int, list[str]]) -> set[int]:
    """Return the numbers of the lines that are comments. Raises ``HoldfastError`` where nothing else is there."""
    plain = {number: cells for number, cells in parts.items() if not lines[number].startswith("#")}
    if not plain:
        raise HoldfastError(f"{place}: it holds no words; write a word and its class a line")
    first = next(iter(plain))
    # Of words without classes no class can tell.
    classes = {cells[-1] for cells in (plain if len(plain[first]) > 1 else parts).values()}
    return {
        number
        for number, cells in parts.items()
        if lines[number].startswith("#")
        and (len(cells) != len(plain[first]) or cells[-1] not in classes or _tabbed(lines, number, first))
    }


def _tabbed(lines: Mapping[int, str], number: int, first: int) -> bool:
    return "\t" in lines[first] and "\t" not in lines[number]


def _check(place: str, number: int, cells: list[str], width: int) -> None:
    if len(cells) == 1 < width:
        raise HoldfastError(f"{place}: line {number} holds {cells[0]!r} alone; write a word and its class a line")
    if len(cells) != width:
        raise HoldfastError(
            f"{place}: line {number} has {len(cells)} columns and the first word's line {width}; "
            f"write the same columns in every line"
        )


def _sentences(lines: Iterable[int], parts: Mapping[int, list[str]], words: Mapping[int, list[str]]) -> list[list[int]]:
    """Return the numbers of each sentence's lines; lines that are no ``parts`` end one."""
    sentences: list[list[int]] = []
    ended = True
    for number in lines:
        if number not in parts:
            ended = True
        elif number in words:
            if ended:
                sentences.append([])
            sentences[-1].append(number)
            ended = False
    return sentences


def _split(sentences: list[list[int]], words: Mapping[int, list[str]]) -> tuple[list[list[int]], int]:
    """Return sentences that begin where a number before the words begins anew, and how many more that makes."""
    numbers = [[words[number][0] for number in sentence] for sentence in sentences]
    if len(words[sentences[0][0]]) < 3 or not running(numbers):
        return sentences, 0
    bounds = [[0, *starts_of(row), len(row)] for row in numbers]
    split = [sentence[a:b] for sentence, at in zip(sentences, bounds, strict=True) for a, b in pairwise(at)]
    return split, len(split) - len(sentences)


def _named(place: str, cells: Sequence[list[list[str]]], comments: Sequence[str]) -> dict[str, list[list[str]]]:
    declared = conllu.declared(comments)
    if declared is not None and len(declared) == len(cells):
        return conllu.columns_of(declared, cells)
    if len(cells) == len(conllu.NAMES) and running(cells[0]):
        return conllu.columns_of(conllu.NAMES, cells)
    if any(line.startswith(_BEGIN_2012) for line in comments) and len(cells) == len(_NAMES_2012):
        named = dict(zip(_NAMES_2012, cells, strict=True))
        return named | {"ner_tags": bio_of_brackets(named["ner_tags"])}
    return dict(zip(names_of(place, cells), cells, strict=True))


def _layout(place: str, columns: Iterable[str]) -> list[str]:
    """Return the note of what was taken for what; none where nothing else could be."""
    names = list(columns)
    if names == [TOKENS, "tags"]:
        return []
    if not is_guessed(names):
        return [f"{place}: read as CoNLL-U"]
    return [f"{place}: its columns are read as {', '.join(f'{i} {name!r}' for i, name in enumerate(names, start=1))}"]
