from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ByT5Tokenizer, DataCollatorWithPadding, PreTrainedTokenizerFast

from holdfast.errors import HoldfastError
from holdfast.tasks.encode import count_cut, encode
from holdfast.tasks.task import Split

WORDS = [f"w{i}" for i in range(20)]


def word_tokenizer(side: str = "right") -> Any:
    """One token a word, in the manner of BERT: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segment ids."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        padding_side=side,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def words(count: int) -> str:
    return " ".join(WORDS[i % 20] for i in range(count))


def split(lengths: list[int], pairs: list[int] | None = None, labels: Any = None) -> Split:
    return Split(
        [words(n) for n in lengths],
        None if pairs is None else [words(n) for n in pairs],
        labels,
        [str(i) for i in range(len(lengths))],
    )


def test_rows_hold_ids_and_labels_by_hand() -> None:
    rows, cut = encode(split([2, 1], labels=[1, 0]), word_tokenizer(), 16, "classification")
    assert cut == 0
    assert len(rows) == 2
    assert rows[0]["input_ids"] == [2, 4, 5, 3]
    assert rows[1]["input_ids"] == [2, 4, 3]
    assert [row["labels"] for row in rows.rows] == [1, 0]


def test_pairs_have_segments() -> None:
    rows, _ = encode(split([2], [1]), word_tokenizer(), 16, "classification")
    assert rows[0]["input_ids"] == [2, 4, 5, 3, 4, 3]
    assert rows[0]["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert "labels" not in rows[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_padding_collator_takes_the_rows_on_either_side(side: str) -> None:
    tokenizer = word_tokenizer(side)
    rows, _ = encode(split([5, 2], labels=[2, 0]), tokenizer, 16, "classification")
    batch = DataCollatorWithPadding(tokenizer)(list(rows))
    padded = [0, 0, 0, 2, 4, 5, 3] if side == "left" else [2, 4, 5, 3, 0, 0, 0]
    assert batch["input_ids"].tolist() == [[2, 4, 5, 6, 7, 8, 3], padded]
    assert batch["attention_mask"].sum(1).tolist() == [7, 4]
    assert batch["labels"].tolist() == [2, 0]
    assert batch["labels"].dtype == torch.int64


def test_regression_labels_are_floats_even_when_whole() -> None:
    rows, _ = encode(split([1, 1], labels=[1.0, 2.0]), word_tokenizer(), 16, "regression")
    batch = DataCollatorWithPadding(word_tokenizer())(list(rows))
    assert batch["labels"].dtype == torch.float32


@pytest.mark.parametrize("tokenizer", [word_tokenizer(), ByT5Tokenizer()], ids=["fast", "slow"])
def test_cut_rows_are_counted_exactly(tokenizer: Any) -> None:
    # One token a word, or one a byte and space in between; special tokens on top.
    for size in (8, 9, 10, 11, 12):
        data = split(list(range(1, 8)))
        whole = [len(tokenizer(text)["input_ids"]) for text in data.texts]
        rows, cut = encode(data, tokenizer, size, "classification")
        assert cut == sum(length > size for length in whole)
        assert [len(row["input_ids"]) for row in rows.rows] == [min(length, size) for length in whole]


def test_the_longer_text_of_a_pair_is_cut_first() -> None:
    rows, cut = encode(split([10, 2], [2, 2]), word_tokenizer(), 9, "classification")
    assert cut == 1
    assert rows[0]["token_type_ids"] == [0] * 6 + [1] * 3
    rows, cut = encode(split([4], [2]), word_tokenizer(), 9, "classification")
    assert cut == 0, "exactly as long as allowed is not cut"


@pytest.mark.parametrize(("pairs", "length", "least"), [(None, 2, 3), ([3], 4, 5)])
def test_lengths_without_room_for_text(pairs: list[int] | None, length: int, least: int) -> None:
    told = f"--max-length {length}: .* use at least {least}"
    with pytest.raises(HoldfastError, match=told):
        encode(split([3], pairs), word_tokenizer(), length, "classification")
    with pytest.raises(HoldfastError, match=told):
        count_cut(split([3], pairs), word_tokenizer(), length)


def test_cut_rows_are_counted_without_encoding_them() -> None:
    # 2 special tokens: 14 words fit into 16 tokens. More rows than are counted at a time.
    lengths = [13, 14, 15, 30] * 600
    assert count_cut(split(lengths), word_tokenizer(), 16) == 1200
    assert count_cut(split([]), word_tokenizer(), 16) == 0


def test_no_rows() -> None:
    rows, cut = encode(split([]), word_tokenizer(), 8, "classification")
    assert (len(rows), cut) == (0, 0)
