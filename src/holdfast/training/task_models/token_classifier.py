"""Words with a class each."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from transformers import (
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
)

from holdfast.errors import HoldfastError
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.scoring.entities import entity_f1
from holdfast.tasks.task import Split
from holdfast.training.task_models.base import IGNORED
from holdfast.training.task_models.scoring import Scorer

WordLogits = list[NDArray[Any]]
"""For each row (words, classes): logits of its first words; those cut off have none."""

_OUTSIDE = "O"
_AT_A_TIME = 1000
"""Rows whose tokens are held while counting."""


class TokenClassifier(Scorer):
    """A token classifier; a word's class is read at its first piece, the others count nowhere."""

    auto_class: ClassVar[Any] = AutoModelForTokenClassification
    # As the head reads every token.
    pooling = "mean"
    ability = "classify words"

    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:
        """Return rows whose ``labels`` hold a word's class at its first piece, and how many were cut.

        Raises ``HoldfastError`` when no room is left for text, and for a tokenizer that does not tell which piece
        belongs to which word.
        """
        length = self.spec.settings.max_length
        words = list(self._words(split, tokenizer))
        fields, found = _tokenise(words, tokenizer, length)
        rows: list[dict[str, Any]] = [{name: values[i] for name, values in fields.items()} for i in range(len(words))]
        if split.labels is not None:
            for row, places, tags in zip(rows, found, split.tags, strict=True):
                row["labels"] = _at_first_pieces(places, tags)
        # Only rows of exactly the full length can have lost something.
        full = [i for i, row in enumerate(rows) if len(row["input_ids"]) == length]
        return EncodedSplit(rows), self.count_cut(split.take(full), tokenizer)["--max-length"]

    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:  # noqa: D102
        length, cut = self.spec.settings.max_length, 0
        for start in range(0, len(split), _AT_A_TIME):
            part = split.take(list(range(start, min(start + _AT_A_TIME, len(split)))))
            fields, _ = _tokenise(list(self._words(part, tokenizer)), tokenizer, None)
            cut += sum(len(ids) > length for ids in fields["input_ids"])
        return {"--max-length": cut}

    def collator(self, tokenizer: Any, model: Any) -> Any:  # noqa: D102
        return DataCollatorForTokenClassification(tokenizer)

    def read(self, prediction: Any, tokenizer: Any) -> WordLogits:  # noqa: D102
        rows = zip(prediction.predictions, prediction.label_ids, strict=True)
        return [logits[labels != IGNORED] for logits, labels in rows]

    def score(self, outputs: WordLogits, split: Split, metrics: Sequence[str]) -> dict[str, float | None]:
        """Return accuracy over words and F1 over entities; words cut off count as ``O``, else as wrong."""
        if not self.finite(outputs):
            return dict.fromkeys(metrics)
        names, tags = self.task.label_names, split.tags
        outside = names.index(_OUTSIDE) if _OUTSIDE in names else -1
        predicted = [
            [*logits.argmax(-1).tolist(), *[outside] * (len(row) - len(logits))]
            for logits, row in zip(outputs, tags, strict=True)
        ]
        scores: dict[str, float | None] = {}
        if "accuracy" in metrics:
            right = np.concatenate([np.equal(*pair) for pair in zip(predicted, tags, strict=True)])
            scores["accuracy"] = float(right.mean())
        if "entity_f1" in metrics:
            named = [[names[tag] if tag >= 0 else _OUTSIDE for tag in row] for row in predicted]
            scores["entity_f1"] = entity_f1([[names[tag] for tag in row] for row in tags], named)
        return {metric: scores[metric] for metric in metrics}

    def finite(self, outputs: WordLogits) -> bool:  # noqa: D102
        return all(bool(np.isfinite(logits).all()) for logits in outputs)

    def dominant_share(self, outputs: WordLogits) -> float | None:
        """Return the share of words with the most frequent prediction."""
        counts = np.bincount(np.concatenate([logits.argmax(-1) for logits in outputs]))
        return float(counts.max() / counts.sum())

    def prediction_arrays(self, split: Split, outputs: WordLogits) -> dict[str, NDArray[Any]]:
        """Return ``ids`` (a row's, a colon, and which of its words), ``labels`` and ``logits`` of words not cut off."""
        rows = list(zip(split.ids, split.tags, outputs, strict=True))
        return {
            "ids": np.asarray([f"{name}:{word}" for name, _, logits in rows for word in range(len(logits))]),
            "labels": np.asarray([tag for _, tags, logits in rows for tag in tags[: len(logits)]]),
            "logits": np.concatenate(outputs).astype(np.float32),
        }

    def _words(self, split: Split, tokenizer: Any) -> Iterator[list[str]]:
        """Give each row's words as the tokenizer takes them."""
        length = self.spec.settings.max_length
        if not tokenizer.is_fast:
            raise HoldfastError(
                f"model {self.spec.model}: its tokenizer ({type(tokenizer).__name__}) does not tell which piece is "
                f"of which word; choose a model with a fast tokenizer"
            )
        special = tokenizer.num_special_tokens_to_add(pair=False)
        if length <= special:
            raise HoldfastError(
                f"--max-length {length}: no room for text beside {special} special tokens; use at least {special + 1}"
            )
        space = _space_before(tokenizer)
        return ([space + word for word in row] for row in split.words or ())


def _tokenise(
    words: list[list[str]], tokenizer: Any, max_length: int | None
) -> tuple[dict[str, list[Any]], list[list[int | None]]]:
    """Return the tokenizer's fields and, for each row, which word each token belongs to.

    Rows lose their last words. A word that is nothing to the tokenizer (an invisible character) is an unknown one.
    """
    if not words:
        return {"input_ids": []}, []
    side = tokenizer.truncation_side
    tokenizer.truncation_side = "right"
    try:
        encoded = tokenizer(
            words,
            is_split_into_words=True,
            truncation=max_length is not None,
            max_length=max_length,
            padding=False,
            verbose=False,
        )
    finally:
        tokenizer.truncation_side = side
    places = [encoded.word_ids(row) for row in range(len(words))]
    lost = [_lost(row, of, max_length) for row, of in zip(words, places, strict=True)]
    if not any(lost):
        return dict(encoded), places
    if tokenizer.unk_token is None:
        row = next(row for row, gone in enumerate(lost) if gone)
        raise HoldfastError(
            f"word {words[row][min(lost[row])]!r} is nothing to the tokenizer, which has no unknown token: drop it"
        )
    known = [
        [tokenizer.unk_token if place in gone else word for place, word in enumerate(row)]
        for row, gone in zip(words, lost, strict=True)
    ]
    return _tokenise(known, tokenizer, max_length)


def _lost(words: list[str], places: list[int | None], max_length: int | None) -> set[int]:
    """Return which words have no token, those aside that may have been cut off."""
    seen = {place for place in places if place is not None}
    end = len(words) if len(places) != max_length else max(seen, default=-1) + 1
    return set(range(end)) - seen


def _at_first_pieces(places: list[int | None], tags: list[int]) -> list[int]:
    before = [None, *places[:-1]]
    return [
        tags[place] if place is not None and place != last else IGNORED
        for place, last in zip(places, before, strict=True)
    ]


def _space_before(tokenizer: Any) -> str:
    """Return what to put before each word: a tokenizer of bytes takes the space for a part of the word.

    One that can do so by itself is told to, so that it also does where it is loaded with the tuned model.
    """
    splitting = tokenizer.backend_tokenizer.pre_tokenizer
    if isinstance(splitting, ByteLevel):
        splitting.add_prefix_space = tokenizer.add_prefix_space = True
        # It is made from these again where it is loaded.
        tokenizer.init_kwargs["add_prefix_space"] = True
        return ""
    # Behind another rule it would put a space before every part of a word.
    parts: Any = splitting if isinstance(splitting, PreTokenizers) else ()
    return " " if any(isinstance(part, ByteLevel) and not part.add_prefix_space for part in parts) else ""
