"""The language model around a model's pre-trained body: what it was, or could have been, pre-trained as."""

import copy
import logging
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of
from holdfast.training.models.loading import only_local
from holdfast.training.quiet import quiet

logger = logging.getLogger(__name__)

Objective = Literal["masked", "causal", "spans"]
"""What is predicted: masked tokens, the next token, or corrupted spans."""

_SPANS = frozenset({"t5", "mt5", "umt5"})
"""Encoder-decoders that were pre-trained on corrupted spans."""


@dataclass(frozen=True)
class LanguageModel:
    """A model of language whose body is the very module of the model to be tuned."""

    model: Any
    body: nn.Module
    objective: Objective


def objective_of(model: nn.Module, method: str) -> Objective:
    """Return how ``model`` can be trained on text without labels; it may be on the meta device.

    Raises ``HoldfastError``, naming ``method``, where that is not known.
    """
    import transformers

    config: Any = getattr(model, "config", None)
    body = body_of(model)
    kind = type(model).__name__
    if config is None or not isinstance(model, transformers.PreTrainedModel):
        raise HoldfastError(f"{method} re-trains a model of Transformers on text, and {kind} is none: leave it out")
    if getattr(config, "is_encoder_decoder", False):
        if config.model_type in _SPANS and hasattr(body, "decoder"):
            return "spans"
        raise HoldfastError(
            f"{method} re-trains encoders, decoders and T5 on text, and {kind} was pre-trained in another way: "
            "leave it out"
        )
    if type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        return "masked"
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return "causal"
    raise HoldfastError(
        f"{method} re-trains the model on text, and Transformers has no masked or causal language model of the kind "
        f"{getattr(config, 'model_type', kind)}: leave it out"
    )


def language_model(model: nn.Module, method: str) -> LanguageModel:
    """Return ``model`` as a language model: the body is shared, the output layer the checkpoint's own where it has one.

    Where not, it is drawn from the global random generator, and a warning says so. Raises ``HoldfastError`` as
    ``objective_of`` does.
    """
    import transformers

    objective = objective_of(model, method)
    mapping: Any = {
        "masked": transformers.MODEL_FOR_MASKED_LM_MAPPING,
        "causal": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
        "spans": transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    }[objective]
    body, config = body_of(model), copy.deepcopy(model.config)
    kind = mapping[type(config)]
    if isinstance(model, kind):
        return LanguageModel(model, body, objective)
    weight = next(body.parameters())
    with quiet():
        wrapper = _with_pretrained_head(kind, config, weight.dtype, method)
    wrapper.to(weight.device)
    if objective == "spans":
        # Its parts hang on the model itself.
        for part in ("shared", "encoder", "decoder"):
            setattr(wrapper, part, getattr(body, part))
    else:
        setattr(wrapper, wrapper.base_model_prefix, body)
    # What was found one in loading. T5 1.1 and mT5 have an output layer of their own, against their configuration.
    wrapper.tie_weights(recompute_mapping=False)
    return LanguageModel(wrapper, body, objective)


def _with_pretrained_head(kind: Any, config: Any, dtype: torch.dtype, method: str) -> Any:
    source = config._name_or_path
    why = "it was not loaded from a checkpoint"
    if source:
        text, stored = config.get_text_config(), copy.deepcopy(config)
        try:
            # Words may have been added to the model since; the checkpoint's output layer knows its own.
            before = type(config).from_pretrained(source, local_files_only=only_local(source))
            stored.get_text_config().vocab_size = before.get_text_config().vocab_size
            wrapper, info = kind.from_pretrained(
                source,
                config=stored,
                local_files_only=only_local(source),
                use_safetensors=True,
                dtype=dtype,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except (OSError, ValueError) as problem:
            why = f"{source} cannot be read again ({str(problem).strip().splitlines()[0]})"
        else:
            lacking = [name for name in info["missing_keys"] if not name.startswith(f"{wrapper.base_model_prefix}.")]
            if lacking:
                logger.warning("%s: %s brings no output layer for text, so a new one is trained", method, source)
            if stored.get_text_config().vocab_size != text.vocab_size:
                _resize(wrapper, text.vocab_size)
            return wrapper
    logger.warning("%s: the model's output layer for text is new, as %s", method, why)
    return kind(config).to(dtype)


def _resize(wrapper: Any, words: int) -> None:
    # Resizing ties what the configuration says, also where the checkpoint's weights were found to be two.
    tied_by_config = wrapper.config.tie_word_embeddings
    one = wrapper.get_output_embeddings().weight is wrapper.get_input_embeddings().weight
    wrapper.config.tie_word_embeddings = one
    wrapper.resize_token_embeddings(words, mean_resizing=False)
    wrapper.config.tie_word_embeddings = tied_by_config
