"""Conversations of one message and its answer are a text and a response; what is more is refused, not lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError

Load = Callable[..., Any]
Row = dict[str, Any]

ASKED = [f"Please tell me what number {i} is." for i in range(12)]
ANSWERED = [f"It is the number {i}, I think." for i in range(12)]


def turn(role: str, content: Any) -> Row:
    return {"role": role, "content": content}


def share(role: str, content: Any) -> Row:
    return {"from": role, "value": content}


def parts(role: str, content: str) -> Row:
    return turn(role, [{"type": "text", "text": content}])


def rows(row: Callable[[str, str], Row]) -> list[Row]:
    return [row(asked, answered) for asked, answered in zip(ASKED, ANSWERED, strict=True)]


@pytest.mark.parametrize(
    "row",
    [
        lambda a, b: {"prompt": [turn("user", a)], "completion": [turn("assistant", b)]},
        lambda a, b: {"prompt": a, "completion": [turn("assistant", b)]},
        lambda a, b: {"prompt": [turn("user", a)], "response": b},
        lambda a, b: {"messages": [turn("user", a), turn("assistant", b)]},
        lambda a, b: {"id": a, "messages": [parts("user", a), parts("assistant", b)], "source": "x"},
        lambda a, b: {"conversations": [share("human", a), share("gpt", b)]},
    ],
)
def test_one_message_and_its_answer(load: Load, row: Callable[[str, str], Row]) -> None:
    plain = load(rows(lambda a, b: {"prompt": a, "response": b}), "plain.jsonl")
    task = load(rows(row), "chat.jsonl")
    for split, other in zip(task.splits.values(), plain.splits.values(), strict=True):
        assert (split.texts, split.targets) == (other.texts, other.targets)
    assert any("without a chat template" in note for note in task.notes)


@pytest.mark.parametrize(
    "change",
    [
        [turn("system", "Be kind."), turn("user", "a"), turn("assistant", "b")],
        [turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")],
        [turn("user", "a"), turn("user", "b"), turn("assistant", "c")],
        [turn("assistant", "b"), turn("user", "a")],
        [turn("user", "a"), turn("tool", "b")],
        [turn("user", "a"), turn("assistant", None) | {"tool_calls": [{}]}],
        [turn("user", [{"type": "image"}, {"type": "text", "text": "a"}]), turn("assistant", "b")],
        [turn("assistant", "b")],
    ],
)
def test_more_than_that_is_refused_by_its_row(load: Load, change: list[Row]) -> None:
    made = rows(lambda a, b: {"messages": [turn("user", a), turn("assistant", b)]})
    made[4]["messages"] = change
    with pytest.raises(HoldfastError, match=r"'messages' holds conversations of several turns.*\(line 5\).*'response'"):
        load(made, "chat.jsonl")


@pytest.mark.parametrize("change", [[], None, "", [turn("user", "a")]])
def test_a_missing_answer_is_a_missing_text(load: Load, change: Any) -> None:
    made = rows(lambda a, b: {"messages": [turn("user", a), turn("assistant", b)]})
    made[4]["messages"] = change
    with pytest.raises(HoldfastError, match="line 5"):
        load(made, "chat.jsonl")


def test_rows_to_be_scored_may_come_without_answers(load: Load, write: Callable[..., Any]) -> None:
    test = write("test.jsonl", rows(lambda a, b: {"messages": [turn("user", a)]}))
    task = load(rows(lambda a, b: {"messages": [turn("user", a), turn("assistant", b)]}), "chat.jsonl", test=str(test))
    assert task.splits["test"].texts == ASKED
    assert task.splits["test"].labels is None


@pytest.mark.parametrize("wrong", [["a text", "another"], {"text": "a"}, [1, 2], [["a"]], [{"role": "user"}]])
@pytest.mark.parametrize("columns", [("source", "target"), ("prompt", "completion"), ("document", "summary")])
def test_lists_that_are_no_conversation(load: Load, columns: tuple[str, str], wrong: Any) -> None:
    with pytest.raises(HoldfastError, match=f"column {columns[1]!r} holds lists or objects that are no conversation"):
        load(rows(lambda a, b: {columns[0]: a, columns[1]: wrong}), "lists.jsonl")


def test_conversations_beside_a_labelled_text_are_left_alone(load: Load) -> None:
    made = rows(lambda a, b: {"text": a, "messages": [turn("user", a)], "label": a[-2] in "13579 "})
    assert load([row | {"label": i % 2} for i, row in enumerate(made)], "f.jsonl").kind == "classification"
