"""Conversations in a column: what was asked and what was answered, where that is all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.tasks.table import Table

COLUMNS = ("messages", "conversations", "conversation", "chat", "dialog", "turns")
"""Column names that the field uses for a whole conversation."""

_ROLES = {"user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant"}
_ROLES |= {"model": "assistant", "bot": "assistant", "chatgpt": "assistant"}
_KEYS = (("role", "content"), ("from", "value"))
"""OpenAI's and TRL's, and ShareGPT's."""


def are_conversations(table: Table, column: str) -> bool:
    """Whether a column holds conversations: lists of objects with a role and what was said."""
    return any(map(_is_conversation, table.columns.get(column, ())))


def as_texts(table: Table, text: str, target: str) -> tuple[Table, str, str]:
    """Return ``table`` with conversations as texts, and the names of the columns of what was asked and answered.

    ``text`` and ``target`` are one column where it holds both. Conversations are one message of the user's and one
    answer; columns that hold none stay as they are. Raises ``HoldfastError`` naming the rows for other conversations,
    and for lists and objects that are none.
    """
    if text == target:
        prompts, responses = f"{text} (user)", f"{text} (assistant)"
        messages = _messages(table, text, ("user", "assistant"))
        columns = {
            prompts: [one.get("user") for one in messages],
            responses: [one.get("assistant") for one in messages],
        }
        return replace(table, columns=table.columns | columns), prompts, responses
    columns = {}
    for column, role in ((text, "user"), (target, "assistant")):
        if any(isinstance(value, list | dict) for value in table.columns.get(column, ())):
            columns[column] = [one.get(role) for one in _messages(table, column, (role,))]
    return replace(table, columns=table.columns | columns), text, target


def _messages(table: Table, column: str, roles: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return of each row what was said in each role; a plain cell counts as said in the first of ``roles``."""
    values = table.column(column, "all splits need the columns that are learned")
    lists = [i for i, v in enumerate(values) if isinstance(v, list | dict) and not _is_conversation(v)]
    if lists:
        more = " (all that count as right go to a column 'references' as a list)" if roles == ("assistant",) else ""
        raise HoldfastError(
            f"{table.place}: column {column!r} holds lists or objects that are no conversation ({table.where(lists)}); "
            f"write one text a row{more}"
        )
    messages = [_by_role(value, roles) if isinstance(value, list) else {roles[0]: value} for value in values]
    longer = [i for i, one in enumerate(messages) if one is None]
    if longer:
        raise HoldfastError(
            f"{table.place}: column {column!r} holds conversations of several turns, with a system message or with "
            f"more than text ({table.where(longer)}), and Holdfast learns one response to one text: write all that "
            f"comes before the response into a column 'prompt', and the response into 'response'"
        )
    return [one for one in messages if one is not None]


def _by_role(conversation: list[Any], roles: tuple[str, ...]) -> dict[str, str] | None:
    """Return what was said in each role, of ``roles`` in their order or the first of them alone; None for any other."""
    texts = {}
    for turn in conversation:
        role, content = next((turn[role], turn[content]) for role, content in _KEYS if role in turn and content in turn)
        role = _ROLES.get(str(role).lower())
        if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
            content = content[0].get("text")
        if role not in roles or role in texts or not isinstance(content, str) or turn.get("tool_calls"):
            return None
        texts[role] = content
    return texts if tuple(texts) in (roles, roles[:1]) else None


def _is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and any({*keys} <= turn.keys() for keys in _KEYS) for turn in value)
    )
