"""Which kind of task a user's tables are, where it is neither classification nor regression."""

from __future__ import annotations

from shlex import quote
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind, TaskSpec
from holdfast.tasks import column_names
from holdfast.tasks.column_names import LABELS, SINGLES, WORDS
from holdfast.tasks.kinds.columns import is_prose
from holdfast.tasks.kinds.conversations import COLUMNS, are_conversations
from holdfast.tasks.kinds.labels import HIDDEN, written
from holdfast.tasks.kinds.multiple_choice import MultipleChoice, choice_columns, places_of, read_first
from holdfast.tasks.kinds.several import indicators, parsed, spans_in
from holdfast.tasks.kinds.source import Reader
from holdfast.tasks.kinds.tagged import TAGS, Tagged, metrics_of, tag_names
from holdfast.tasks.kinds.text_to_text import METRICS, PAIRS, TextToText
from holdfast.tasks.sources.layouts import is_spans
from holdfast.tasks.table import Table, listed

_QUESTIONS = (*SINGLES, "premise", "question", "context", "prompt")
"""Column names that the field uses for what the choices may follow."""

_CHOICES = ("choices", "options", "endings", "candidates", "alternatives")
"""Column names that the field uses for all choices of a row together."""

_SUMMARIES = ("summary", "highlights", "abstract")
_ROWS_A_CLASS = 3
"""Values of which there are so many on average are classes of several words rather than texts to write."""


def kind_of(table: Table, spec: TaskSpec) -> Kind | None:
    """Return what ``spec`` says, else what the columns' names do; None for classification and regression.

    Raises ``HoldfastError`` for lists of words written as text, and for rows with several labels each, in columns of
    their own or as spans of their text.
    """
    if spec.kind is not None:
        return None if spec.kind in ("classification", "regression") else spec.kind
    together = [name for name in table.columns if name.lower() in _CHOICES and name != spec.label]
    together = [name for name in together if any(table.columns[name]) and _is_words(table.columns[name])]
    if together:
        raise HoldfastError(
            f"{table.place}: column {together[0]!r} holds all choices of a row; write each into a column of its own: "
            f"choice1, choice2, …"
        )
    kind = _by_columns(table, spec)
    if kind is None and not _has_labelled_text(table, spec):
        _refuse_written_lists(table, spec.text or _first(table, WORDS) or "")
    if kind in (None, "tokens") and spec.label is None and _first(table, (*LABELS, *TAGS)) is None:
        _refuse_several(table, spec)
    return kind


def _by_columns(table: Table, spec: TaskSpec) -> Kind | None:
    if table.columns and all(_is_words(values) for values in table.columns.values()):
        return "tokens"
    # Some files keep the words of their texts beside them.
    if table.has_lists(spec.text or _first(table, WORDS) or "") and not _has_labelled_text(table, spec):
        return "tokens"
    if spec.text_pair is not None:
        return None
    if _offers_choices(table, spec):
        return "choice"
    pairs = _fitting(table, spec) if spec.label is not None or not _has_label(table) else []
    # A source and its target may be a text and its class.
    return "generation" if len(pairs) == 1 and _is_written(table, pairs[0][1]) else None


def read_other(
    kind: Kind, first: Table, tables: dict[str, Table], spec: TaskSpec, editable: bool
) -> tuple[Reader, tuple[str, ...], list[str]]:
    """Return what reads the tables, the metrics, and notes of what was decided. ``first``: the one to look at.

    Raises ``HoldfastError`` where the columns cannot be told, naming those there are.
    """
    if spec.text_pair is not None:
        raise HoldfastError(f"{first.place}: --text-pair belongs to classification and regression; leave it out")
    if kind == "tokens":
        words, tags = _words_and_tags(first, spec)
        names = tag_names(tables.get("train", first), tags)
        others = [name for name in first.columns if name not in (words, tags) and first.has_lists(name)]
        notes = [f"words: column {words!r}, classes: column {tags!r}, {listed(names)}"]
        notes += [f"further columns of lists: {listed(others)}; give one to --label to learn it"] if others else []
        return Tagged(words, tags, names), metrics_of(names), notes
    if kind == "choice":
        choices = choice_columns(first)
        if not choices:
            raise HoldfastError(
                f"{first.place}: no columns of choices, such as choice1 and choice2; the columns are "
                f"{listed(first.columns)}: rename those that hold the choices"
            )
        text = spec.text or _named(first, _QUESTIONS, "the text that the choices follow", "--text")
        label = spec.label or _named(first, LABELS, "the right choice", "--label")
        notes = [f"text: column {text!r}, choices: {listed(choices)}, right choice: column {label!r}"]
        counted = spec.read.first if spec.read else None
        counted_from, first_notes = read_first(tables.values(), label, choices, counted)
        return MultipleChoice(text, choices, label, editable, counted_from), ("accuracy",), [*notes, *first_notes]
    text, target = _text_and_target(first, spec)
    notes = [f"text: column {text!r}, to write: column {target!r}"]
    if are_conversations(first, text) or are_conversations(first, target):
        notes.append("conversations are read as a text and its response, without a chat template")
    return TextToText(text, target, editable), METRICS, notes


def _refuse_written_lists(table: Table, words: str) -> None:
    texts = [value for value in table.columns.get(words, ()) if isinstance(value, str)]
    written = [text for text in texts if text and _is_words([parsed(text)])]
    if 2 * len(written) > len(table):
        raise HoldfastError(
            f"{table.place}: column {words!r} holds lists of words written as text, as in {written[0][:40]!r}; write "
            f"JSON Lines or Parquet, where lists stay lists"
        )


def _refuse_several(table: Table, spec: TaskSpec) -> None:
    if spans := spans_in(table):
        raise HoldfastError(
            f"{table.place}: column {spans[0]!r} holds spans of characters, and Holdfast learns a class for each word "
            f"or row: write lists of words and of their classes, in columns 'tokens' and 'ner_tags', or choose the "
            f"label of each row with --label"
        )
    if names := indicators(table, (spec.text, spec.text_pair, *column_names.ROW_NAMES)):
        raise HoldfastError(
            f"{table.place}: columns {listed(names)} hold 0 or 1 each, as of several labels a row, and Holdfast learns "
            f"one class a row: choose one of them with --label"
        )


def _words_and_tags(table: Table, spec: TaskSpec) -> tuple[str, str]:
    words = spec.text or _named(table, WORDS, "the words", "--text")
    tags = spec.label or _named(table, TAGS, "their classes", "--label")
    if spec.label is None and not _has_spans(table, tags):
        # Of parts of speech and names nobody knows which are meant; names the field calls so are known.
        spans = [name for name in table.columns if name.lower() not in (*WORDS, *TAGS) and _has_spans(table, name)]
        if spans:
            raise HoldfastError(
                f"{table.place}: {listed([tags, *spans])} could each be the classes of the words; give "
                f"{' or '.join(f'--label {quote(name)}' for name in [tags, *spans])}"
            )
    return words, tags


def _is_words(values: list[Any]) -> bool:
    return all(isinstance(row, list) and all(isinstance(word, str) for word in row) for row in values)


def _has_spans(table: Table, column: str) -> bool:
    rows = [row for row in table.columns.get(column, ()) if isinstance(row, list)]
    return bool(rows) and is_spans([[written(tag) for tag in row] for row in rows])


def _text_and_target(table: Table, spec: TaskSpec) -> tuple[str, str]:
    if spec.text is not None and spec.label is not None:
        return spec.text, spec.label
    fitting = _fitting(table, spec)
    if len(fitting) == 1:
        return fitting[0]
    raise HoldfastError(
        f"{table.place}: cannot tell which column is the text and which the text to write; the columns are "
        f"{listed(table.columns)}: name them with --text and --label"
    )


def _fitting(table: Table, spec: TaskSpec) -> list[tuple[str, str]]:
    """Return the pairs of columns that the field's names tell and the user's do not exclude."""
    by_lower = {name.lower(): name for name in table.columns}
    pairs = [(by_lower[a], by_lower[b]) for a, b in PAIRS if a in by_lower and b in by_lower]
    if not pairs:
        pairs = [(name, name) for name in table.columns if name.lower() in COLUMNS and are_conversations(table, name)]
    return [(a, b) for a, b in pairs if spec.text in (None, a) and spec.label in (None, b)]


def _is_written(table: Table, column: str) -> bool:
    """Whether the values are texts of their own, not the names of classes."""
    values = [value for value in table.columns[column] if value]
    if any(isinstance(value, list | dict) for value in values):
        return True
    # Nobody calls classes a summary.
    own = column.lower() in _SUMMARIES or _ROWS_A_CLASS * len(set(values)) > len(values)
    return own and is_prose(table, column)


def _has_labelled_text(table: Table, spec: TaskSpec) -> bool:
    """Whether a text and a class of each row stand in columns of their own."""
    text = spec.text or _first(table, (*SINGLES, *(name for pair in column_names.PAIRS for name in pair)))
    label = spec.label or _first(table, LABELS)
    given = [name for name in (text, label) if name in table.columns]
    return len(given) == 2 and not any(table.has_lists(name) for name in given)


def _offers_choices(table: Table, spec: TaskSpec) -> bool:
    """Whether there are columns of choices, and labels, if any, of which some name one."""
    choices = choice_columns(table)
    label = spec.label or _first(table, LABELS) or ""
    values = {written(value) for value in table.columns.get(label, ())} - {"", HIDDEN}
    return bool(choices) and (not values or not values.isdisjoint({*places_of(choices, 0), str(len(choices))}))


def _has_label(table: Table) -> bool:
    return any(name.lower() in LABELS for name in table.columns if name.lower() != "target")


def _first(table: Table, names: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in table.columns}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _named(table: Table, names: tuple[str, ...], what: str, option: str) -> str:
    name = _first(table, names)
    if name is None:
        raise HoldfastError(
            f"{table.place}: cannot tell which column holds {what}; the columns are {_shown(table)}: "
            f"name it with {option}"
        )
    return name


def _shown(table: Table) -> str:
    """The columns' names; where all hold words, each with the first ones: 'column 2' ('EU', 'wins', 'a')."""
    if not all(map(_is_words, table.columns.values())):
        return listed(table.columns)
    starts: dict[str, list[Any]] = {name: next(filter(None, values), []) for name, values in table.columns.items()}
    return ", ".join(f"{name!r} ({', '.join(map(repr, start[:3]))})" for name, start in starts.items())
