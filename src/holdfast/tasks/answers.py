"""Rows that an annotator accepted, rejected or passed over, as Prodigy writes them."""

from __future__ import annotations

from dataclasses import replace

from holdfast.errors import HoldfastError
from holdfast.tasks.columns import LABELS
from holdfast.tasks.labels import written
from holdfast.tasks.several import CHOSEN
from holdfast.tasks.table import Table

ANSWER = "answer"
"""The column that says what became of a row, in small letters."""

_ACCEPT, _REJECT, _IGNORE = "accept", "reject", "ignore"


def accepted(table: Table, label: str | None = None) -> tuple[Table, list[str]]:
    """Return the rows whose label was accepted, without the column that says so, and notes of how many were not.

    ``label``: its column, where the user names it.

    Rows without a label column are judged themselves: the answers are their labels, and only ignored ones go. Tables
    without such a column are returned as they are. Raises ``HoldfastError`` where one label alone was accepted and
    rejected, so that the answers are what there is to learn, and where none was accepted.
    """
    column = next((name for name in table.columns if name.lower() == ANSWER), None)
    if column is None:
        return table, []
    answers = [written(value).lower() for value in table.columns[column]]
    if not set(answers) <= {_ACCEPT, _REJECT, _IGNORE}:
        return table, []
    label = label or next((name for name in table.columns if name.lower() in (*LABELS, CHOSEN)), None)
    if label not in table.columns:
        return _left(table, column, [i for i, answer in enumerate(answers) if answer != _IGNORE], answers)
    judged = {written(value) for value, answer in zip(table.columns[label], answers, strict=True) if answer != _IGNORE}
    if {_ACCEPT, _REJECT} <= set(answers) and len(judged) == 1:
        raise HoldfastError(
            f"{table.place}: all rows have the label {judged.pop()!r} and column {column!r} says whether it is right; "
            f"learn that with --label {column}"
        )
    kept = [i for i, answer in enumerate(answers) if answer == _ACCEPT]
    if not kept:
        raise HoldfastError(f"{table.place}: column {column!r} accepts no row; give a file with accepted rows")
    table, notes = _left(table, column, kept, answers)
    return replace(table, columns={name: values for name, values in table.columns.items() if name != column}), notes


def _left(table: Table, column: str, kept: list[int], answers: list[str]) -> tuple[Table, list[str]]:
    gone = {
        answer: answers.count(answer) for answer in dict.fromkeys(answers) if answer not in {answers[i] for i in kept}
    }
    told = " and ".join(f"{count} with {answer!r}" for answer, count in gone.items())
    notes = [f"{table.place}: of {len(table)} rows {told} in column {column!r} are left out"] if gone else []
    return table.keep(kept), notes
