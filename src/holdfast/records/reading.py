"""How a file of rows is to be read, where the file itself leaves more than one way."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""Names of the separators of columns."""


class Reading(BaseModel):
    """What the user decides about a file's layout; None leaves it to the file. Part of a run's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoding: str | None = None
    """Of a file that is not UTF-8: ``windows-1252``, ``utf-16``."""
    separator: str | None = None
    """Between columns: ``comma``, ``semicolon``, ``tab``, ``bar``, or the character."""
    quotes: bool | None = None
    """Whether quotation marks enclose cells; if not they are ordinary characters, and each line is a row."""
    header: bool | None = None
    """Whether the first line holds the columns' names; if not they are ``column 1``, ``column 2``, …"""
    missing: Literal["drop", "keep"] | None = None
    """Rows without a text or label, or with a placeholder such as ``#N/A``: left out, or learned as they stand."""
    rejected: Literal["drop", "keep"] | None = None
    """Rows that a column beside the label rejects: left out, or learned like the others."""
    first: Literal[0, 1] | None = None
    """The number of the first choice in a column that tells the right one by its number."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                # Four bytes of any width; whether they make sense in the encoding is not asked.
                b"text".decode(value, errors="replace")
            except LookupError as error:
                raise ValueError(f"{value!r} is no encoding; give one such as utf-8, windows-1252 or utf-16") from error
        return value

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = SEPARATORS.get(value or "", value)
        if value is not None and len(value) != 1:
            raise ValueError(f"{value!r} is no separator; give {', '.join(SEPARATORS)} or one character")
        return value

    @field_validator("first", mode="before")
    @classmethod
    def _digit(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdigit() else value


def named_separator(character: str) -> str:
    """Return how messages and ``--read separator=`` call a separator."""
    return next((name for name, one in SEPARATORS.items() if one == character), character)
