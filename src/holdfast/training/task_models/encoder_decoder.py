"""An encoder-decoder made of an encoder: it reads with one copy and writes with another."""

import copy
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModel,
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    Seq2SeqTrainer,
)

from holdfast.errors import HoldfastError
from holdfast.tasks.task import Split
from holdfast.training.models.loading import load_tokenizer, load_weights, model_config
from holdfast.training.task_models.seq2seq import Seq2Seq


class EncoderDecoder(Seq2Seq):
    """Transformers' ``EncoderDecoderModel`` of one encoder's checkpoint, taken twice (Rothe et al. 2020).

    The decoder's attention to the encoder is in no encoder's checkpoint and drawn at random; so is what the
    checkpoint lacks of the output layer, whose matrix is the decoder's embedding.
    """

    def config(self) -> Any:
        """Return the configuration of the pair. Raises ``HoldfastError`` for models that are no such encoder."""
        spec = self.spec
        encoder = model_config(spec.source)
        if type(encoder) not in MODEL_FOR_MASKED_LM_MAPPING or encoder.is_encoder_decoder:
            raise HoldfastError(
                f"--seq2seq-from-encoder {spec.model}: it is no encoder ({encoder.model_type}); give it as --model"
            )
        _check_decoder(spec.model, encoder)
        encoder.is_decoder = encoder.add_cross_attention = False
        decoder = copy.deepcopy(encoder)
        decoder.is_decoder = decoder.add_cross_attention = True
        tokenizer = load_tokenizer(spec.source)
        marks = _marks(spec.model, tokenizer)
        config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **marks)
        config.vocab_size = decoder.vocab_size
        return config

    def empty(self) -> Any:  # noqa: D102
        config = self.config()
        with torch.device("meta"):
            return EncoderDecoderModel(config)

    def load(self) -> Any:  # noqa: D102
        spec, config = self.spec, self.config()
        encoder, _ = load_weights(AutoModel, spec.source, config.encoder)
        decoder, _ = load_weights(AutoModelForCausalLM, spec.source, config.decoder)
        model = EncoderDecoderModel(config, encoder, decoder)
        marks = {name: getattr(config, name) for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id")}
        return self.set_generation(model, **marks)

    def collator(self, tokenizer: Any, model: Any) -> Any:
        """Return what ``Seq2Seq.collator`` does, with a mask of the decoder's padding."""
        plain = super().collator(tokenizer, model)
        return _Masking(plain, tokenizer.pad_token_id)

    def trainer(self, arguments: Mapping[str, Any], **parts: Any) -> Seq2SeqTrainer:  # noqa: D102
        # About models that were trained with Transformers before 4.12, which this one was not.
        warnings.filterwarnings("ignore", "Version v4.12.0 introduces", FutureWarning)
        return super().trainer(arguments, **parts)

    def _targets(self, split: Split, tokenizer: Any) -> list[list[int]]:
        # The encoder's tokenizer would put first what the decoder starts from.
        return self._ended(split, tokenizer, _marks(self.spec.model, tokenizer)["eos_token_id"])

    def _targets_cut(self, split: Split, tokenizer: Any) -> int:
        return self._ended_cut(split, tokenizer)


class _Masking:
    """Adds the mask of the decoder's padding, which the model makes only where it makes the decoder's input."""

    def __init__(self, plain: DataCollatorForSeq2Seq, pad: int) -> None:
        self.plain = plain
        self.pad = pad

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        batch = self.plain(rows)
        if "decoder_input_ids" in batch:
            batch["decoder_attention_mask"] = (batch["decoder_input_ids"] != self.pad).long()
        return batch


def _check_decoder(name: str, config: Any) -> None:
    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if kind is None or "encoder_hidden_states" not in inspect.signature(kind.forward).parameters:
        raise HoldfastError(
            f"--seq2seq-from-encoder {name}: Transformers makes no decoder of {config.model_type}; "
            "give an encoder such as BERT, RoBERTa, XLM-R or ELECTRA"
        )


def _marks(name: str, tokenizer: Any) -> dict[str, int]:
    """Return the tokens that texts start and end with, and that pad them."""
    start = tokenizer.bos_token_id if tokenizer.cls_token_id is None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
    if start is None or end is None:
        raise HoldfastError(
            f"--seq2seq-from-encoder {name}: its tokenizer has no token to start or to end a text with; "
            "set cls_token and sep_token in its files"
        )
    return {"decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": tokenizer.pad_token_id}
