"""Batches of text made into questions about the text: which tokens a language model has to tell."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of
from holdfast.training.pretraining.language_models import Objective, objective_of
from holdfast.training.pretraining.questions import IGNORED, Question, real_tokens
from holdfast.training.pretraining.span_corruption import SpanCorruption, sentinels


class Corruption(Protocol):
    """Makes questions of text."""

    def __call__(self, batch: Mapping[str, Tensor]) -> Question:
        """Return the question for ``batch``, the keyword arguments of the model without labels, left unchanged."""


def corruption(objective: Objective, tokenizer: Any, rate: float, generator: torch.Generator) -> Corruption:
    """Return what makes the questions of an objective; ``rate`` is the share of tokens asked for.

    ``tokenizer`` passed ``check_tokenizer``; ``generator`` is on the CPU.
    """
    if objective == "causal":
        return next_tokens
    return (SpanCorruption if objective == "spans" else _Masking)(tokenizer, rate, generator)


def check_tokenizer(objective: Objective, tokenizer: Any, method: str) -> None:
    """Raise ``HoldfastError``, naming ``method``, where the tokenizer is not there or lacks what questions take."""
    if objective == "causal":
        return
    if tokenizer is None:
        raise HoldfastError(
            f"{method} needs the model's tokenizer to ask for words: give the Trainer processing_class=tokenizer, "
            "or the engine tokenizer=tokenizer"
        )
    if objective == "masked" and tokenizer.mask_token is None:
        raise HoldfastError(
            f"{method} masks text, and the tokenizer has no mask token: set the one of the pre-training"
        )
    if objective == "spans" and (len(sentinels(tokenizer)) < 2 or tokenizer.eos_token_id is None):
        raise HoldfastError(
            f"{method} cuts spans out of text, and the tokenizer has no <extra_id_0>, <extra_id_1>, ... to stand for "
            "them, or no end token: use the one of the pre-training"
        )


def check_words(model: nn.Module, tokenizer: Any, method: str) -> None:
    """Raise ``HoldfastError``, naming ``method``, where ``model`` cannot be asked for words of ``tokenizer``.

    The model may be on the meta device. Errors are those of ``objective_of`` and ``check_tokenizer`` too.
    """
    objective = objective_of(model, method)
    check_tokenizer(objective, tokenizer, method)
    words: Any = body_of(model).get_input_embeddings()  # type: ignore[operator]
    if objective != "causal" and len(tokenizer) > words.num_embeddings:
        raise HoldfastError(
            f"{method} puts words of the tokenizer into the text, and it has {len(tokenizer)} where "
            f"{type(model).__name__} embeds {words.num_embeddings}: call model.resize_token_embeddings(len(tokenizer))"
        )


def next_tokens(batch: Mapping[str, Tensor]) -> Question:
    """Ask for every real token but the first, each at the position before it."""
    ids = batch["input_ids"]
    following = ids[:, 1:].clone()
    # A token is asked for where it and the one before it are real.
    real = real_tokens(batch)
    following[~(real[:, 1:] & real[:, :-1])] = IGNORED
    return Question(batch, torch.cat([following, torch.full_like(ids[:, :1], IGNORED)], 1))


class _Masking:
    """BERT's masking (Devlin et al. 2019): of the tokens asked for 80 % are masked, 10 % random, 10 % as they were."""

    def __init__(self, tokenizer: Any, rate: float, generator: torch.Generator) -> None:
        from transformers import DataCollatorForLanguageModeling

        self.tokenizer = tokenizer
        self.collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=rate)
        self.collator.generator = generator

    def __call__(self, batch: Mapping[str, Tensor]) -> Question:
        ids = batch["input_ids"]
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids, device=ids.device))
        # Words that the tokenizer does not know stand in its special token, and can be asked for no more than padding.
        special |= ~real_tokens(batch)
        masked, labels = self.collator.torch_mask_tokens(ids.cpu().clone(), special.cpu())
        return Question({**batch, "input_ids": masked.to(ids.device)}, labels.to(ids.device))
