"""Texts into token ids, once, for a collator that pads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from holdfast.errors import HoldfastError
from holdfast.tasks.task import Kind, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
    and left out where the split has none. Raises ``HoldfastError`` when ``max_length`` is more than the
    tokenizer's model takes or leaves no room for text.
    """
    paired = split.pairs is not None
    special = tokenizer.num_special_tokens_to_add(pair=paired)
    least = special + (2 if paired else 1)
    if max_length < least:
        raise HoldfastError(
            f"max_length {max_length} leaves no room for text beside {special} special tokens; use at least {least}"
        )
    if max_length > tokenizer.model_max_length:
        raise HoldfastError(
            f"max_length {max_length} is more than the {tokenizer.model_max_length} tokens the model takes; lower it"
        )
    fields = dict(_tokenise(split, tokenizer, truncation="longest_first", max_length=max_length))
    rows: list[dict[str, Any]] = [{name: values[row] for name, values in fields.items()} for row in range(len(split))]
    if split.labels is not None:
        as_number = float if kind == "regression" else int
        for row, label in zip(rows, split.labels, strict=True):
            row["labels"] = as_number(label)
    return EncodedSplit(rows), _count_cut(split, tokenizer, [len(ids) for ids in fields["input_ids"]], max_length)


def _count_cut(split: Split, tokenizer: PreTrainedTokenizerBase, lengths: list[int], max_length: int) -> int:
    """How many rows are longer than ``max_length`` when not cut."""
    # Not every tokenizer tells what it cut. Only rows of exactly max_length can have been; those are measured.
    full = [row for row, length in enumerate(lengths) if length == max_length]
    if not full:
        return 0
    whole = _tokenise(split.take(full), tokenizer, truncation=False, verbose=False)
    return sum(len(ids) > max_length for ids in whole["input_ids"])


def _tokenise(split: Split, tokenizer: PreTrainedTokenizerBase, **options: Any) -> Any:
    if not len(split):
        return {"input_ids": []}
    return tokenizer(split.texts, split.pairs, padding=False, **options)
