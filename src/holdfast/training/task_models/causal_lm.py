"""Prompts and responses, for decoder-only language models such as GPT-2 and Llama."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForCausalLM,
    Trainer,
    TrainingArguments,
)

from holdfast.errors import HoldfastError
from holdfast.tasks.encode import EncodedSplit, are_cut, count_cut
from holdfast.tasks.task import Split
from holdfast.training.models.hidden_states import layer_states
from holdfast.training.models.loading import load_tokenizer, model_config
from holdfast.training.task_models.base import IGNORED, on_one_gpu
from holdfast.training.task_models.writing import Writer


class CausalLM(Writer):
    """A language model that learns to go on from a prompt and a line break with the response and an end token.

    Only the response is learnt. Rows to be scored hold the prompt, as ``prompt``, apart from the labels.
    """

    auto_class: ClassVar[Any] = AutoModelForCausalLM
    ability = "write texts"

    def config(self) -> Any:
        """Return the model's configuration. Raises ``HoldfastError`` for an encoder."""
        spec = self.spec
        config = model_config(spec.source)
        if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
            raise HoldfastError(
                f"model {spec.model}: it is an encoder, and {self.task.name} asks for texts to be written; make an "
                f"encoder-decoder of it with --seq2seq-from-encoder {spec.model}, or give another as --model"
            )
        return config

    def load(self) -> Any:  # noqa: D102
        spec = self.spec
        tokenizer = load_tokenizer(spec.source)
        return self.set_generation(
            super().load(),
            eos_token_id=_end(spec.model, tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            max_new_tokens=spec.settings.max_target_length,
        )

    def encode(self, split: Split, tokenizer: Any, *, training: bool) -> tuple[EncodedSplit, int]:  # noqa: D102
        end = _end(self.spec.model, tokenizer)
        prompts, cut = self._prompts(split, tokenizer, end)
        if split.labels is None:
            return EncodedSplit([{"prompt": prompt} for prompt in prompts]), cut
        pairs = zip(prompts, self._ended(split, tokenizer, end), strict=True)
        if training:
            rows = [{"input_ids": [*a, *b], "labels": [*[IGNORED] * len(a), *b]} for a, b in pairs]
        else:
            rows = [{"prompt": a, "labels": b} for a, b in pairs]
        return EncodedSplit(rows), cut

    def count_cut(self, split: Split, tokenizer: Any) -> dict[str, int]:  # noqa: D102
        return {
            "--max-length": count_cut(_with_line_break(split), tokenizer, self.spec.settings.max_length),
            "--max-target-length": self._ended_cut(split, tokenizer),
        }

    def collator(self, tokenizer: Any, model: Any) -> Any:
        """Return what pads rows to learn from on the right and prompts on the left, where they are gone on from."""
        return _Padding(tokenizer.pad_token_id)

    def trainer(self, arguments: Mapping[str, Any], **parts: Any) -> Trainer:  # noqa: D102
        collator = self.collator(parts["processing_class"], parts["model"])
        # No model's forward has an argument named prompt.
        settings = on_one_gpu(TrainingArguments(**arguments, remove_unused_columns=False))
        return _Writing(args=settings, data_collator=collator, **parts)

    def states(self, model: Any, batches: Iterable[Mapping[str, Any]]) -> NDArray[np.float32] | None:
        """Return the hidden states of each prompt's last token, which the response is begun from."""
        return layer_states(model, (_placed(model, batch) for batch in batches), "last")

    def _prompts(self, split: Split, tokenizer: Any, end: int) -> tuple[list[list[int]], int]:
        """Return the ids of the prompts, each with its line break, and how many were cut before that."""
        longest = self.spec.settings.max_length
        split = _with_line_break(split)
        rows, cut = self._sources(split, tokenizer, longest)
        prompts = [_open(row["input_ids"], end) for row in rows]
        between = tokenizer("\n", add_special_tokens=False)["input_ids"]
        full = [at for at, row in enumerate(rows) if len(row["input_ids"]) == longest]
        for at, is_cut in zip(full, are_cut(split.take(full), tokenizer, longest), strict=True):
            if is_cut:
                prompts[at] = [*prompts[at][: longest - len(between)], *between]
        return prompts, cut


class _Padding:
    """Makes a batch, with the mask of its padding."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        left = "prompt" in rows[0]
        ids = [torch.tensor(row["prompt" if left else "input_ids"], dtype=torch.long) for row in rows]
        batch = {
            "input_ids": _padded(ids, self.pad, left),
            "attention_mask": _padded([torch.ones_like(one) for one in ids], 0, left),
        }
        if "labels" in rows[0]:
            batch["labels"] = _padded([torch.tensor(row["labels"]) for row in rows], IGNORED, False)
        return batch


class _Writing(Trainer):
    """Evaluates by what the model writes."""

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels", None)
        plain: Any = self.model
        with torch.no_grad():
            written = plain.generate(**inputs)
        return None, written[:, inputs["input_ids"].shape[1] :].contiguous(), labels


def _padded(rows: list[Tensor], value: int, left: bool) -> Tensor:
    return nn.utils.rnn.pad_sequence(rows, True, value, "left" if left else "right")


def _placed(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prompts with their positions, which start at the first real token, for models that take them."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    return inputs


def _with_line_break(split: Split) -> Split:
    return replace(split, texts=[f"{text}\n" for text in split.texts])


def _open(ids: list[int], end: int) -> list[int]:
    """Return ``ids`` without the end that some tokenizers set: the response is to follow."""
    return ids[:-1] if ids[-1:] == [end] else ids


def _end(name: str, tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise HoldfastError(f"model {name}: its tokenizer has no token to end a text with, set eos_token in its files")
    return int(tokenizer.eos_token_id)
