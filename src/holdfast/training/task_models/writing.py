"""What models that write texts have in common: how they are asked to write, and how that is scored."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import GenerationConfig

from holdfast.tasks.encode import EncodedSplit, count_cut, encode
from holdfast.tasks.scoring.rouge import rouge
from holdfast.tasks.task import Split
from holdfast.training.models.hidden_states import layer_states
from holdfast.training.task_models.base import IGNORED, TaskModel


class Writer(TaskModel):
    """Writes a text. Outputs are the texts."""

    # A pass writes one token.
    pooling = None

    def read(self, prediction: Any, tokenizer: Any) -> list[str]:  # noqa: D102
        ids = np.asarray(prediction.predictions)
        ids = np.where(ids == IGNORED, tokenizer.pad_token_id, ids)
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def score(self, outputs: list[str], split: Split, metrics: Sequence[str]) -> dict[str, float | None]:  # noqa: D102
        return rouge(outputs, split.accepted, metrics)

    def finite(self, outputs: list[str]) -> bool:
        """Return True: a text is one whatever the numbers behind it were."""
        return True

    def dominant_share(self, outputs: list[str]) -> float | None:  # noqa: D102
        return Counter(outputs).most_common(1)[0][1] / len(outputs) if outputs else None

    def prediction_arrays(self, split: Split, outputs: list[str]) -> dict[str, NDArray[Any]]:
        """Return ``ids``, ``texts`` and ``references``, (rows, the most of a row), filled up with empty texts."""
        most = max(map(len, split.accepted), default=0)
        references = [[*right, *[""] * (most - len(right))] for right in split.accepted]
        return {
            "ids": np.asarray(split.ids),
            "texts": np.asarray(outputs, dtype=str),
            "references": np.asarray(references, dtype=str),
        }

    def set_generation(self, model: Any, **more: Any) -> Any:
        """Return ``model``, set to write by the run's settings, whatever task its checkpoint was made for.

        It is saved with them. Of what the checkpoint says about writing only the special tokens stay: the least
        length of its summaries, say, would be kept to in a task of headlines. ``more`` goes to ``GenerationConfig``.
        """
        stays = {name: value for name, value in vars(model.generation_config).items() if name.endswith("_token_id")}
        beams = self.spec.settings.num_beams
        settings = {**stays, "do_sample": False, "num_beams": beams, **more}
        model.generation_config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
        return model

    def _sources(self, split: Split, tokenizer: Any, max_length: int) -> tuple[list[dict[str, Any]], int]:
        """Return ids and mask of the texts to read, and how many were cut to ``max_length``."""
        encoded, cut = encode(replace(split, labels=None), tokenizer, max_length, self.task.kind)
        # Token types, which some tokenizers give, are those of single texts.
        return [{name: row[name] for name in ("input_ids", "attention_mask")} for row in encoded.rows], cut

    def _ended(self, split: Split, tokenizer: Any, end: int) -> list[list[int]]:
        """Return the ids of the texts to write, cut, with ``end`` alone of all special tokens."""
        longest = self.spec.settings.max_target_length
        encoded = tokenizer(split.targets, add_special_tokens=False, truncation=True, max_length=longest - 1)
        return [[*ids, end] for ids in encoded["input_ids"]]

    def _ended_cut(self, split: Split, tokenizer: Any) -> int:
        """Return how many texts ``_ended`` cuts."""
        longest = self.spec.settings.max_target_length
        encoded = tokenizer(split.targets, add_special_tokens=False, verbose=False)
        return sum(len(ids) + 1 > longest for ids in encoded["input_ids"])


class PairWriter(Writer):
    """Writes with an encoder that reads and a decoder that writes."""

    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:  # noqa: D102
        rows, cut = self._sources(split, tokenizer, self.spec.settings.max_length)
        if split.labels is not None:
            for row, target in zip(rows, self._targets(split, tokenizer), strict=True):
                row["labels"] = target
        return EncodedSplit(rows), cut

    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:  # noqa: D102
        return {
            "--max-length": count_cut(split, tokenizer, self.spec.settings.max_length),
            "--max-target-length": self._targets_cut(split, tokenizer),
        }

    def _targets(self, split: Split, tokenizer: Any) -> list[list[int]]:
        """Return the ids of the texts to write, cut, each with the token that ends it."""
        longest = self.spec.settings.max_target_length
        ids: list[list[int]] = tokenizer(text_target=split.targets, truncation=True, max_length=longest)["input_ids"]
        return ids

    def _targets_cut(self, split: Split, tokenizer: Any) -> int:
        longest = self.spec.settings.max_target_length
        return sum(len(ids) > longest for ids in tokenizer(text_target=split.targets, verbose=False)["input_ids"])

    def set_generation(self, model: Any, **more: Any) -> Any:
        """Return ``model`` as ``Writer`` does; it writes as many tokens as are kept of texts to learn from."""
        # The token that the decoder starts from counts as written, and is no label.
        return super().set_generation(model, max_length=self.spec.settings.max_target_length + 1, **more)

    def states(self, model: Any, batches: Iterable[Mapping[str, Any]]) -> NDArray[np.float32] | None:
        """Return the encoder's hidden states, the mean over the tokens of the text that was read."""
        reads = ("input_ids", "attention_mask")
        inputs = ({name: batch[name] for name in reads} for batch in batches)
        return layer_states(model.get_encoder(), inputs, "mean")
