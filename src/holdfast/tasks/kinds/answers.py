"""Rows that an annotator accepted, rejected or passed over, as annotation tools write them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

from holdfast.errors import HoldfastError
from holdfast.tasks.column_names import LABELS
from holdfast.tasks.kinds.labels import written
from holdfast.tasks.kinds.several import CHOSEN
from holdfast.tasks.table import Table

ANSWER = "answer"
"""The column of Prodigy that says what became of a row, in small letters."""

_ACCEPT, _REJECT, _IGNORE = "accept", "reject", "ignore"
_FORMS = {
    **dict.fromkeys(("accept", "accepted", "approve", "approved"), _ACCEPT),
    **dict.fromkeys(("reject", "rejected", "decline", "declined"), _REJECT),
    **dict.fromkeys(("ignore", "ignored", "skip", "skipped"), _IGNORE),
}
_YES_OR_NO = {
    **dict.fromkeys(("true", "1", "yes"), _ACCEPT),
    **dict.fromkeys(("false", "0", "no"), _REJECT),
}
"""What a column named after acceptance may hold instead."""


def accepted(
    table: Table, label: str | None = None, rejected: Literal["drop", "keep"] | None = None
) -> tuple[Table, list[str]]:
    """Return the rows whose label was accepted, without the column that says so, and notes of how many were not.

    ``label``: its column, where the user names it; ``rejected``: what the user wants of the other rows. Rows without a
    label column are judged themselves: the answers are their labels, and only ignored ones go. Tables without such a
    column are returned as they are. Raises ``HoldfastError`` where one label alone was accepted and rejected, so that
    the answers are what there is to learn, where none was accepted, and where a column of another name than Prodigy's
    may be such a one.
    """
    label = label or next((name for name in table.columns if name.lower() in (*LABELS, CHOSEN)), None)
    judging = _judging(table, label)
    if judging is None or rejected == "keep":
        return table, []
    column, answers = judging
    if label not in table.columns:
        if column.lower() != ANSWER:
            return table, []
        return _left(table, column, [i for i, answer in enumerate(answers) if answer != _IGNORE], answers)
    judged = {written(value) for value, answer in zip(table.columns[label], answers, strict=True) if answer != _IGNORE}
    if {_ACCEPT, _REJECT} <= set(answers) and len(judged) == 1:
        raise HoldfastError(
            f"{table.place}: all rows have the label {judged.pop()!r} and column {column!r} says whether it is right; "
            f"learn that with --label {column}"
        )
    accepted_rows = [i for i, answer in enumerate(answers) if answer == _ACCEPT]
    if len(accepted_rows) == len(answers):
        return table, []
    if column.lower() != ANSWER and rejected is None:
        counts = ", ".join(f"{count} {answer}" for answer, count in Counter(answers).items())
        raise HoldfastError(
            f"{table.place}: column {column!r} ({counts}) may say which rows are right; give --read rejected=drop to "
            f"leave the others out, or rejected=keep to learn all"
        )
    if not accepted_rows:
        raise HoldfastError(f"{table.place}: column {column!r} accepts no row; give a file with accepted rows")
    table, notes = _left(table, column, accepted_rows, answers)
    return replace(table, columns={name: values for name, values in table.columns.items() if name != column}), notes


def _judging(table: Table, label: str | None) -> tuple[str, list[str]] | None:
    """Return the column that accepts or rejects rows, and what it says of each; None where there is none."""
    for column in sorted(table.columns, key=lambda name: name.lower() != ANSWER):
        values = [written(value).lower() for value in table.columns[column] if not isinstance(value, (list, dict))]
        if column == label or len(values) < len(table):
            continue
        forms = _FORMS
        if column.lower() != ANSWER and _FORMS.get(column.lower()) == _ACCEPT and set(values) <= _YES_OR_NO.keys():
            forms = _YES_OR_NO
        if set(values) <= forms.keys():
            return column, [forms[value] for value in values]
    return None


def _left(table: Table, column: str, accepted_rows: list[int], answers: list[str]) -> tuple[Table, list[str]]:
    gone = {
        answer: answers.count(answer)
        for answer in dict.fromkeys(answers)
        if answer not in {answers[i] for i in accepted_rows}
    }
    rejected = " and ".join(f"{count} with {answer!r}" for answer, count in gone.items())
    notes = [f"{table.place}: of {len(table)} rows {rejected} in column {column!r} are left out"] if gone else []
    return table.keep(accepted_rows), notes
