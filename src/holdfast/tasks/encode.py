"""Texts into token ids, once, for a collator that pads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.task import Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_AT_A_TIME = 1000
"""Rows whose whole texts are held as tokens while counting."""


class EncodedSplit(Dataset[dict[str, Any]]):
    """Rows as dicts for ``DataCollatorWithPadding``: unpadded lists of ids and a ``labels`` number."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


def encode(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int, kind: Kind) -> tuple[EncodedSplit, int]:
    """Tokenise a split and count the rows cut to ``max_length`` tokens, special ones included.

    Pairs lose tokens from the longer text first. Labels are ints for classification, floats for regression,
    and left out where the split has none. Raises ``HoldfastError`` when ``max_length`` leaves no room for text.
    """
    _check_room(tokenizer, split.pairs is not None, max_length)
    fields = dict(_tokenise(split, tokenizer, truncation="longest_first", max_length=max_length))
    rows: list[dict[str, Any]] = [{name: values[row] for name, values in fields.items()} for row in range(len(split))]
    if split.labels is not None:
        for row, label in zip(rows, split.numbers if kind == "regression" else split.classes, strict=True):
            row["labels"] = label
    # Not every tokenizer tells what it cut. Only rows of exactly max_length can have been; those are measured.
    full = [row for row, ids in enumerate(fields["input_ids"]) if len(ids) == max_length]
    return EncodedSplit(rows), count_cut(split.take(full), tokenizer, max_length)


def count_cut(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """How many rows are longer than ``max_length`` tokens, special ones included, and so lose some.

    Raises ``HoldfastError`` when ``max_length`` leaves no room for text.
    """
    return sum(are_cut(split, tokenizer, max_length))


def are_cut(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[bool]:
    """Of each row, what ``count_cut`` counts."""
    _check_room(tokenizer, split.pairs is not None, max_length)
    cut: list[bool] = []
    for start in range(0, len(split), _AT_A_TIME):
        part = split.take(list(range(start, min(start + _AT_A_TIME, len(split)))))
        whole = _tokenise(part, tokenizer, truncation=False, verbose=False)
        cut += [len(ids) > max_length for ids in whole["input_ids"]]
    return cut


def _check_room(tokenizer: PreTrainedTokenizerBase, paired: bool, max_length: int) -> None:
    special = tokenizer.num_special_tokens_to_add(pair=paired)
    least = special + (2 if paired else 1)
    if max_length < least:
        raise HoldfastError(
            f"--max-length {max_length}: no room for text beside {special} special tokens; use at least {least}"
        )


def _tokenise(split: Split, tokenizer: PreTrainedTokenizerBase, **options: Any) -> Any:
    if not len(split):
        return {"input_ids": []}
    return tokenizer(split.texts, split.pairs, padding=False, **options)
